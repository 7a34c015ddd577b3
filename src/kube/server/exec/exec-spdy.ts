/** One command over SPDY streams, for clients that do not know the WebSocket protocol (kubectl before 1.30). */
import type { Readable } from 'node:stream';
import { exitStatus, failureStatus, resizeTo, type ExecRequest, type ExecSession, type PodExec } from './exec.ts';
import type { SpdyStream } from './spdy.ts';

/** Sub-protocols whose error stream carries a Status; all clients of the last ten years know it. */
export const EXEC_SPDY_PROTOCOLS = ['v4.channel.k8s.io'] as const;

/** Names of the streams a client opens for a request. */
function expectedStreams(exec: ExecRequest, query: URLSearchParams): Set<string> {
  const flag = (name: string): boolean => /^(true|1)$/.test(query.get(name) ?? '');
  return new Set(['error', ...(exec.stdin ? ['stdin'] : []), ...(flag('stdout') ? ['stdout'] : []), ...(flag('stderr') && !exec.tty ? ['stderr'] : []), ...(exec.tty ? ['resize'] : [])]);
}

/** Makes the receiver of one connection's streams; the command starts when all have come. */
export function execOverStreams(exec: ExecRequest, query: URLSearchParams, pods: PodExec): (stream: SpdyStream) => void {
  const expected = expectedStreams(exec, query);
  const streams = new Map<string, SpdyStream>();
  return (stream) => {
    const type = stream.headers.get('streamtype') ?? '';
    if (!expected.has(type) || streams.has(type)) return void stream.destroy();
    streams.set(type, stream);
    if (streams.size < expected.size) return;
    pods.start(exec).then((session) => carry(session, streams, exec), (error: unknown) => finish(streams, failureStatus(error)));
  };
}

function carry(session: ExecSession, streams: ReadonlyMap<string, SpdyStream>, exec: ExecRequest): void {
  const outputs = [[session.stdout, streams.get('stdout')], [session.stderr, streams.get('stderr')]] as const;
  const passedOn = outputs.map(([from, to]) => pass(from, to));
  session.stdin.on('error', () => {});
  if (exec.stdin) streams.get('stdin')?.pipe(session.stdin);
  else session.stdin.end();
  streams.get('resize')?.on('data', (message: Buffer) => resizeTo(session, message));
  streams.get('error')!.on('close', () => session.kill());
  session.exit.then(
    async (code) => {
      // What the command wrote last comes before its end.
      await Promise.all(passedOn);
      finish(streams, exitStatus(code));
    },
    (error: unknown) => finish(streams, failureStatus(error)),
  );
}

function pass(from: Readable | undefined, to: SpdyStream | undefined): Promise<void> {
  if (!from) return Promise.resolve();
  from.on('error', () => {});
  if (to) from.pipe(to);
  else from.resume();
  return new Promise((resolve) => {
    from.once('close', () => resolve());
  });
}

function finish(streams: ReadonlyMap<string, SpdyStream>, status: object): void {
  const error = streams.get('error')!;
  error.resume();
  error.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', ...status }));
  for (const stream of streams.values()) if (!stream.writableEnded) stream.end();
}
