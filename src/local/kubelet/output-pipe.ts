/** Output of containers through FIFOs: unlike the socket pairs that Node makes for `pipe`, a program can open `/dev/stdout` on one, which Envoy and nginx do. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export interface OutputPipe {
  /** Ends when every process that holds the writing end has closed it. */
  readonly reader: Readable;
  /** To be handed to the child and closed here with {@link OutputPipe.release}. */
  readonly writeFd: number;
  release(): void;
}

/**
 * Opens one pipe a name, made in `parent` (and removed from there at once); any user may open it again through `/proc/self/fd`, as a container's `/dev/stdout` does.
 */
export function openOutputPipes<Name extends string>(parent: string, ...names: readonly Name[]): Readonly<Record<Name, OutputPipe>> {
  const folder = mkdtempSync(join(parent, 'pipe-'));
  try {
    const paths = names.map((name) => join(folder, name));
    execFileSync('mkfifo', ['-m', '666', ...paths]);
    return Object.fromEntries(names.map((name, index) => [name, openPipe(paths[index]!)])) as Record<Name, OutputPipe>;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function openPipe(path: string): OutputPipe {
  // The reading end first and without blocking: opening the other one would wait for it.
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(path, constants.O_WRONLY);
  const reader = new Socket({ fd: readFd, readable: true, writable: false });
  return { reader, writeFd, release: () => closeSync(writeFd) };
}
