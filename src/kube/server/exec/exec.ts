/**
 * `pods/exec` over WebSocket: what `kubectl exec` (1.30 and newer) and our own commands speak.
 * @see https://kubernetes.io/docs/reference/using-api/deprecation-guide/ (SPDY is not served: an older kubectl is told so)
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable, Writable } from 'node:stream';
import WebSocket, { WebSocketServer } from 'ws';
import { messageOf } from '../../../base/errors.ts';
import { CHANNEL, EXEC_PROTOCOLS } from '../../client/exec.ts';

/** A running command. */
export interface ExecSession {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Absent with a terminal: both streams are one. */
  readonly stderr: Readable | undefined;
  /** Exit code; 128 + n when ended by signal n. Rejects when the command could not be started. */
  readonly exit: Promise<number>;
  /** Tells the terminal its size. */
  resize(columns: number, rows: number): void;
  kill(): void;
}

export interface ExecRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string | undefined;
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
}

/** The Status of an end: success, an exit code, or why the command could not run. */
export function exitStatus(code: number): object {
  return code === 0 ? { metadata: {}, status: 'Success' } : {
    metadata: {}, status: 'Failure', reason: 'NonZeroExitCode', message: `command terminated with non-zero exit code: exit status ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

/** The Status of a command that could not run. */
export function failureStatus(error: unknown): object {
  return { metadata: {}, status: 'Failure', reason: 'InternalError', code: 500, message: messageOf(error) };
}

/** Starts commands in containers; the kubelet's part. Rejects with a sentence for the user. */
export interface PodExec {
  start(request: ExecRequest): Promise<ExecSession>;
}

/** Output waiting for a slow client above this size pauses the command. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
const server = new WebSocketServer({
  noServer: true,
  maxPayload: 4 * 1024 * 1024,
  handleProtocols: (offered) => EXEC_PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
});

/** Reads an exec URL's query; undefined when no command is given. */
export function parseExecRequest(namespace: string, pod: string, query: URLSearchParams): ExecRequest | undefined {
  const command = query.getAll('command');
  return command.length === 0 ? undefined : requestOf(namespace, pod, query, command);
}

/** Reads an attach URL's query: there is no command. */
export function parseAttachRequest(namespace: string, pod: string, query: URLSearchParams): ExecRequest {
  return requestOf(namespace, pod, query, []);
}

function requestOf(namespace: string, pod: string, query: URLSearchParams, command: readonly string[]): ExecRequest {
  const flag = (name: string) => /^(true|1)$/.test(query.get(name) ?? '');
  return { namespace, pod, container: query.get('container') ?? undefined, command, stdin: flag('stdin'), tty: flag('tty') };
}

/** Upgrades the connection and carries one command over it. The caller has authenticated the request. */
export function serveExec(request: IncomingMessage, socket: Duplex, head: Buffer, exec: ExecRequest, pods: PodExec): void {
  server.handleUpgrade(request, socket, head, (connection) => {
    connection.on('error', () => connection.terminate());
    pods.start(exec).then(
      (session) => carry(connection, session, exec),
      (error: unknown) => {
        sendStatus(connection, failureStatus(error));
        connection.close();
      },
    );
  });
}

function carry(connection: WebSocket, session: ExecSession, exec: ExecRequest): void {
  forward(connection, session.stdout, CHANNEL.stdout);
  if (session.stderr) forward(connection, session.stderr, CHANNEL.stderr);
  session.stdin.on('error', () => {});
  if (!exec.stdin) session.stdin.end();
  connection.on('message', (data: Buffer) => onMessage(session, data));
  connection.on('close', () => session.kill());
  const drained = [session.stdout, session.stderr].map((stream) => (stream ? new Promise<void>((resolve) => void stream.once('close', resolve)) : Promise.resolve()));
  session.exit.then(
    async (code) => {
      // What the command wrote last comes before its end.
      await Promise.all(drained);
      sendStatus(connection, exitStatus(code));
      connection.close(1000);
    },
    (error: unknown) => {
      sendStatus(connection, failureStatus(error));
      connection.close(1000);
    },
  );
}

function onMessage(session: ExecSession, data: Buffer): void {
  const payload = data.subarray(1);
  if (data[0] === CHANNEL.stdin) session.stdin.write(payload);
  else if (data[0] === CHANNEL.close && payload[0] === CHANNEL.stdin) session.stdin.end();
  else if (data[0] === CHANNEL.resize) {
    resizeTo(session, payload);
  }
}

/** Reads a terminal's size as clients send it, JSON with Width and Height. */
export function resizeTo(session: ExecSession, message: Buffer): void {
  const size = /"Width":(\d{1,4}),"Height":(\d{1,4})/.exec(message.toString());
  if (size) session.resize(Number(size[1]), Number(size[2]));
}

function forward(connection: WebSocket, stream: Readable, channel: number): void {
  stream.on('data', (chunk: Buffer) => {
    connection.send(Buffer.concat([Buffer.of(channel), chunk]), () => {
      if (stream.isPaused() && connection.bufferedAmount < MAX_BUFFERED_BYTES) stream.resume();
    });
    if (connection.bufferedAmount >= MAX_BUFFERED_BYTES) stream.pause();
  });
  stream.on('error', () => {});
}

function sendStatus(connection: WebSocket, status: object): void {
  if (connection.readyState === WebSocket.OPEN) connection.send(Buffer.concat([Buffer.of(CHANNEL.error), Buffer.from(JSON.stringify({ kind: 'Status', apiVersion: 'v1', ...status }))]));
}
