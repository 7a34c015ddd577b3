import { PassThrough, Readable } from 'node:stream';
import type { PodLogs } from '../http/logs.ts';
import type { PodExec } from './exec.ts';

/**
 * `kubectl attach`: a container's output from now on, out of its log. Its standard input is not connected to anybody, so what is typed goes nowhere; the
 * session ends with success when the container has ended.
 */
export function attachToLogs(logs: PodLogs, container: string): PodExec {
  return {
    start({ namespace, pod }) {
      const ended = new AbortController();
      const chunks = logs.open(namespace, pod, { container, follow: true, previous: false, timestamps: false, tailLines: 0, signal: ended.signal });
      const stdout = Readable.from(chunks);
      const stdin = new PassThrough();
      stdin.resume();
      const exit = new Promise<number>((resolve, reject) => {
        stdout.once('end', () => resolve(0));
        stdout.once('error', reject);
      });
      return Promise.resolve({ stdin, stdout, stderr: undefined, exit, resize: () => {}, kill: () => ended.abort() });
    },
  };
}
