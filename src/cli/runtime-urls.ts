/** URLs of the mesh that runs on this machine. */
import { readRuntime } from '../local/launcher/runtime.ts';
import { stateDir } from '../local/state-dir.ts';

/** `ingress` and `productpage` (when the ingress is there), or undefined when nothing runs. */
export function runtimeUrls(home?: string): Readonly<Record<string, string>> | undefined {
  const urls = readRuntime(stateDir(home))?.urls;
  return urls?.['ingress'] ? { ...urls, productpage: `${urls['ingress']}/productpage` } : urls;
}
