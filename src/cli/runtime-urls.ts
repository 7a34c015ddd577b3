/** URLs of the mesh that runs on this machine. */
import { readFile } from 'node:fs/promises';
import { stateDir } from '../local/state-dir.ts';

/** `ingress` and `productpage` (when the ingress is there), or undefined when nothing runs. */
export async function runtimeUrls(home?: string): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    const { urls } = JSON.parse(await readFile(stateDir(home).runtimeFile, 'utf8')) as { urls?: Record<string, string> };
    return urls?.['ingress'] ? { ...urls, productpage: `${urls['ingress']}/productpage` } : urls;
  } catch {
    return undefined;
  }
}
