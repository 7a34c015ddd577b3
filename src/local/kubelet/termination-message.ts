/** Why a container ended, in its own words. @see https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/ */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Container } from '../../objects/kubernetes/container.ts';

const MAX_MESSAGE_BYTES = 4096;
const MAX_LOG_BYTES = 2048;
const MAX_LOG_LINES = 80;
/** A line of a log takes this much more in its file at most: time, stream and tag. */
const LINE_PREFIX_BYTES = 64;

/** What the program wrote to its termination message path; with the policy FallbackToLogsOnError the end of its log when it failed and wrote nothing. */
export function terminationMessage(container: Container, exitCode: number, file: string, logFile: string): string {
  const written = head(file, MAX_MESSAGE_BYTES);
  if (written !== '' || container.terminationMessagePolicy !== 'FallbackToLogsOnError' || exitCode === 0) return written;
  const lines = tail(logFile, MAX_LOG_BYTES + MAX_LOG_LINES * LINE_PREFIX_BYTES).split('\n').map((line) => /^\S+ \S+ [FP] (.*)$/s.exec(line)?.[1]).filter((line) => line !== undefined);
  return lines.slice(-MAX_LOG_LINES).map((line) => `${line}\n`).join('').slice(-MAX_LOG_BYTES);
}

function head(path: string, maxBytes: number): string {
  return read(path, (size) => [0, Math.min(size, maxBytes)]);
}

function tail(path: string, maxBytes: number): string {
  return read(path, (size) => [Math.max(0, size - maxBytes), Math.min(size, maxBytes)]);
}

/** Never more than asked for, whatever the program made of the file; nothing when it cannot be read. */
function read(path: string, part: (size: number) => readonly [offset: number, length: number]): string {
  try {
    const fd = openSync(path, 'r');
    try {
      const [offset, length] = part(fstatSync(fd).size);
      const buffer = Buffer.alloc(length);
      return buffer.toString('utf8', 0, readSync(fd, buffer, 0, length, offset));
    } finally {
      closeSync(fd);
    }
  } catch {
    return '';
  }
}
