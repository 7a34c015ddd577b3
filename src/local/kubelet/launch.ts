/** A container that is ready to be started, on either network. */
import type { ChildProcess } from 'node:child_process';
import { execInContainer, startInPod, type StartedProcess, type StartRequest } from './process.ts';

/** How one start of a container is made, and how programs join it. */
export interface Launch {
  /** Starts the program as the leader of its own process group and session. */
  start(): StartedProcess;
  /** Runs one more program inside the running container; `pid` is the container's program. */
  exec(pid: number, argv: readonly string[], stdin: boolean): ChildProcess;
}

/** In namespaces of its own. */
export function launchInNamespaces(request: StartRequest): Launch {
  return {
    start: () => startInPod(request),
    exec: (pid, argv, stdin) => execInContainer({ pid, argv, env: request.env, cwd: request.cwd, setpriv: request.setpriv, stdin }),
  };
}
