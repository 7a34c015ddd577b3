/** The build step of an image: a shell command of the user. */
import { runCommand } from '../command.ts';
import type { ImageMapping } from '../images.ts';

const TIMEOUT_MS = 600_000;
const SHOWN_LINES = 15;

/** Runs it, if there is one; resolves with what it said when it failed. */
export async function runBuild({ build, cwd, env }: ImageMapping): Promise<string | undefined> {
  if (build === undefined) return undefined;
  const { code, stdout, stderr } = await runCommand(['/bin/sh', '-c', 'cd "$1" && eval "$2"', 'sh', cwd, build], { env: { ...(process.env as Record<string, string>), ...env }, timeoutMs: TIMEOUT_MS });
  if (code === 0) return undefined;
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-SHOWN_LINES).join('\n');
  return `"${build}" in ${cwd} ended with status ${code}${said === '' ? '' : `:\n${said}`}`;
}
