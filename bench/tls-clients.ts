/** Load of short TLS connections with a client certificate: connect, one request, close. Argument: a JSON of {@link TlsClientsArguments}; prints a JSON of {@link TlsClientsResult}. */
import { connect } from 'node:tls';
import { percentile } from './goals.ts';

export interface TlsClientsArguments {
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
  readonly key: string;
  readonly cert: string;
  /** Connections that run at the same time. */
  readonly clients: number;
  readonly seconds: number;
  /** Each client takes its last session up again; without it every handshake is a full one. */
  readonly resume: boolean;
}

export interface TlsClientsResult {
  /** Connections that got 200. */
  readonly connections: number;
  readonly resumed: number;
  readonly errors: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const given = JSON.parse(process.argv[2] ?? '') as TlsClientsArguments;
const REQUEST = `GET / HTTP/1.1\r\nHost: ${given.serverName}\r\nConnection: close\r\n\r\n`;
const IDLE_MS = 5000;
let [connections, resumed, errors] = [0, 0, 0];
const times: number[] = [];

/** Resolves with the session to take up next. */
function once(session: Buffer | undefined): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const from = performance.now();
    let [next, status, reused] = [session, '', false];
    // The certificate of the bench names a workload and no host.
    const socket = connect({ host: given.host, port: given.port, servername: given.serverName, key: given.key, cert: given.cert, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'], ...(session && { session }) });
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.once('secureConnect', () => {
      reused = socket.isSessionReused();
      socket.write(REQUEST);
    });
    socket.on('session', (fresh) => void (next = fresh));
    socket.on('data', (chunk: Buffer) => void (status ||= chunk.toString('latin1', 0, 12)));
    socket.on('error', () => {});
    socket.once('close', () => {
      if (status !== 'HTTP/1.1 200') errors++;
      else {
        connections++;
        if (reused) resumed++;
        times.push(performance.now() - from);
      }
      resolve(given.resume ? next : undefined);
    });
  });
}

const start = performance.now();
await Promise.all(Array.from({ length: given.clients }, async () => {
  let session: Buffer | undefined;
  while (performance.now() - start < given.seconds * 1000) session = await once(session);
}));
const result: TlsClientsResult = { connections, resumed, errors, seconds: (performance.now() - start) / 1000, p50Ms: percentile(times, 50), p99Ms: percentile(times, 99) };
process.stdout.write(JSON.stringify(result));
