import { PassThrough } from 'node:stream';
import type { ExecRequest, ExecSession } from '../../kube/server/exec/exec.ts';
import { ContainerRequestError, type Kubelet } from './kubelet.ts';
import { signalGroup } from './process.ts';

/** Quotes a word for sh. */
const quote = (word: string): string => `'${word.replaceAll(`'`, `'\\''`)}'`;

/**
 * Runs a command in a container for `kubectl exec`. A terminal is one of script(1), whose size is set once at the start. Rejects when the container does not run.
 */
export async function startExec(kubelet: Kubelet | undefined, request: ExecRequest): Promise<ExecSession> {
  if (!kubelet) throw new ContainerRequestError(400, `pod "${request.pod}" is not running`);
  const argv = request.tty ? ['script', '-qefc', `stty rows 40 cols 120 2>/dev/null; exec ${request.command.map(quote).join(' ')}`, '/dev/null'] : request.command;
  const child = kubelet.exec(request.namespace, request.pod, request.container, argv, true);
  const exit = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 143)));
  });
  exit.catch(() => {});
  return {
    stdin: child.stdin ?? new PassThrough(),
    stdout: child.stdout ?? new PassThrough(),
    stderr: request.tty ? undefined : (child.stderr ?? undefined),
    exit,
    resize: () => {},
    kill: () => void signalGroup(child.pid ?? 0, 'SIGKILL'),
  };
}
