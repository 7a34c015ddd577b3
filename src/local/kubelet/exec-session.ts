import { PassThrough } from 'node:stream';
import type { ExecRequest, ExecSession } from '../../kube/server/exec/exec.ts';
import { ContainerRequestError, type Kubelet } from './kubelet.ts';
import { signalGroup } from './process.ts';
import { inTerminal } from './terminal.ts';

/**
 * Runs a command in a container for `kubectl exec`. A terminal is one of script(1), whose size is set once at the start. Rejects when the container does not run.
 */
export async function startExec(kubelet: Kubelet | undefined, request: ExecRequest): Promise<ExecSession> {
  if (!kubelet) throw new ContainerRequestError(400, `pod "${request.pod}" is not running`);
  const argv = request.tty ? inTerminal(request.command) : request.command;
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

/**
 * Joins the streams of a running container for `kubectl attach` and `kubectl run -i`. What is typed reaches a container with `stdin: true`; its input is closed
 * with the first session's where it says `stdinOnce`. Ends with success when the container has ended. Rejects when it does not run.
 */
export function startAttach(kubelet: Kubelet | undefined, request: ExecRequest): Promise<ExecSession> {
  const joined = kubelet?.attach(request.namespace, request.pod, request.container);
  if (!joined) return Promise.reject(new ContainerRequestError(400, `container ${request.container ?? ''} of pod ${request.pod} is not running`));
  const stdin = new PassThrough();
  if (joined.stdin) {
    stdin.pipe(joined.stdin, { end: joined.stdinOnce });
    joined.stdin.on('error', () => stdin.unpipe().resume());
  } else stdin.resume();
  return Promise.resolve({
    stdin,
    stdout: joined.stdout,
    stderr: request.tty ? undefined : joined.stderr,
    exit: joined.ended.then(() => 0),
    resize: () => {},
    kill: () => {
      stdin.unpipe();
      joined.leave();
    },
  });
}
