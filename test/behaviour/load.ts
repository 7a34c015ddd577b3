/** A client that goes on calling while the mesh changes: what it gets, and whether its connections live. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { destinationOf, openConnection } from './calls.ts';
import type { Load } from './case.ts';
import type { TestIdentities } from './identities.ts';

/** Between two requests of a connection: bounds the load. */
const PAUSE_MS = 4;
/** An answer that takes longer is a lost one. */
const ANSWER_MS = 5000;
/** Problems told of one load. */
const TOLD = 4;

interface Answer {
  readonly status: number;
  readonly backend: string;
  /** The server says that this connection takes no more requests. */
  readonly last: boolean;
}

/** One connection: asks, and says when it is over. */
interface Connection {
  /** Rejects when the connection is lost. */
  ask(): Promise<Answer>;
  /** The server said that it ends, or ended it between two requests. */
  readonly ending: boolean;
  close(): void;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls until it is stopped, over one connection as long as that lives. */
export class LoadRun {
  /** Answered requests. */
  answered = 0;
  /** Connections opened. */
  connections = 0;
  private readonly problems: string[] = [];
  private readonly byBackend = new Map<string, number>();
  private running = true;
  private refusedAtLast = false;
  private done: Promise<void> = Promise.resolve();

  constructor(private readonly spec: Load, private readonly label: string, private readonly identities: TestIdentities) {}

  start(): void {
    this.done = this.run();
  }

  /** Ends it; what went wrong. */
  async stop(): Promise<string[]> {
    this.running = false;
    await this.done;
    const { connection = 'kept', served } = this.spec;
    if (connection === 'kept' && this.connections > 1) this.problems.push(`the connection was ended ${this.connections - 1} times`);
    if (connection === 'ended' && this.connections < 2) this.problems.push('the connection was not ended');
    if (connection === 'refused' && !this.refusedAtLast) this.problems.push('a new connection was taken at the end');
    for (const backend of served ?? []) if (!this.byBackend.has(backend)) this.problems.push(`nothing came to ${backend}: ${[...this.byBackend].map(([name, count]) => `${name} ${count}`).join(', ')}`);
    const told = this.problems.slice(0, TOLD);
    return this.problems.length > TOLD ? [...told, `and ${this.problems.length - TOLD} more, of ${this.answered} answers`] : told;
  }

  private async run(): Promise<void> {
    let connection: Connection | undefined;
    const end = (): void => {
      connection?.close();
      connection = undefined;
    };
    while (this.running) {
      try {
        if (connection?.ending) end();
        connection ??= await this.open();
        const answer = await withLimit(connection.ask());
        this.note(answer);
        if (answer.last || this.spec.connection === 'fresh') end();
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        // Where the listener goes, connections end and the next one is refused.
        if (this.spec.connection === 'refused' && connection === undefined) this.refusedAtLast = true;
        else this.problems.push(`after ${this.answered} answers: ${text}`);
        end();
        await pause(30);
      }
      await pause(PAUSE_MS);
    }
    end();
  }

  private note({ status, backend }: Answer): void {
    this.answered++;
    this.refusedAtLast = false;
    this.byBackend.set(backend, (this.byBackend.get(backend) ?? 0) + 1);
    const wanted = [this.spec.status ?? 200].flat();
    if (!wanted.includes(status)) this.problems.push(`answer ${this.answered} was ${status}${backend ? ` of ${backend}` : ''}, wanted ${wanted.join(' or ')}`);
  }

  private async open(): Promise<Connection> {
    const { protocol = 'http1' } = this.spec.call;
    const socket = await openConnection(this.spec.call, this.identities);
    this.connections++;
    const headers = { ...this.spec.call.headers, 'user-agent': this.label } as Record<string, string>;
    if (protocol === 'http2') return new Http2Connection(socket, this.spec, headers);
    if (protocol === 'tcp') return new EchoConnection(socket, socket);
    if (protocol === 'websocket') return new EchoConnection(socket, await upgraded(socket, this.spec, headers));
    return new Http1Connection(socket, this.spec, headers);
  }
}

async function withLimit<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([answer, new Promise<never>((_, reject) => void (timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS)))]);
  } finally {
    clearTimeout(timer);
  }
}

class Http1Connection implements Connection {
  ending = false;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(private readonly socket: Socket, private readonly spec: Load, private readonly headers: Record<string, string>) {
    for (const event of ['end', 'close', 'error']) socket.on(event, () => (this.ending = true));
    this.agent.createConnection = (() => socket) as never;
  }

  ask(): Promise<Answer> {
    const { call } = this.spec;
    return new Promise((resolve, reject) => {
      const request = httpRequest({ method: call.method ?? 'GET', path: call.path ?? '/', setHost: false, headers: { ...this.headers, host: destinationOf(call).host }, agent: this.agent });
      request.on('error', reject);
      request.on('response', (response) => {
        response.on('error', reject);
        response.on('data', () => {});
        // A turn later, so that the agent has its socket back.
        response.on('end', () => setImmediate(() => resolve({ status: response.statusCode ?? 0, backend: String(response.headers['x-backend'] ?? ''), last: response.headers.connection === 'close' })));
      });
      request.end();
    });
  }

  close(): void {
    this.agent.destroy();
    this.socket.destroy();
  }
}

class Http2Connection implements Connection {
  ending = false;
  private readonly session: ClientHttp2Session;

  constructor(socket: Duplex, private readonly spec: Load, private readonly headers: Record<string, string>) {
    this.session = connectHttp2(`http://${destinationOf(spec.call).host}`, { createConnection: () => socket });
    this.session.on('error', () => (this.ending = true));
    for (const event of ['goaway', 'close']) this.session.on(event, () => (this.ending = true));
  }

  ask(): Promise<Answer> {
    const { call } = this.spec;
    return new Promise((resolve, reject) => {
      const stream = this.session.request({ ':method': call.method ?? 'GET', ':path': call.path ?? '/', ':authority': destinationOf(call).host, ...this.headers });
      let answer: Answer | undefined;
      stream.on('response', (headers) => (answer = { status: Number(headers[':status']), backend: String(headers['x-backend'] ?? ''), last: false }));
      stream.on('data', () => {});
      stream.on('error', reject);
      stream.on('close', () => (answer && stream.rstCode === 0 ? resolve(answer) : reject(new Error(`the stream ended with ${stream.rstCode}`))));
      stream.end();
    });
  }

  close(): void {
    this.session.destroy();
  }
}

/** Bytes there and back, as the backends' TCP and WebSocket echo does: `name: bytes`. */
class EchoConnection implements Connection {
  ending = false;
  private number = 0;
  private text = '';
  private wake: () => void = () => {};
  private lost = false;

  constructor(private readonly socket: Socket, private readonly stream: Duplex) {
    stream.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
      this.wake();
    });
    for (const event of ['end', 'close', 'error'])
      stream.on(event, () => {
        this.lost = true;
        this.wake();
      });
  }

  async ask(): Promise<Answer> {
    const word = `ping ${++this.number};`;
    this.text = '';
    this.stream.write(word);
    while (!this.text.includes(word)) {
      if (this.lost) throw new Error(`the connection was lost after ${this.number - 1} messages`);
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    return { status: 200, backend: this.text.split(':')[0] ?? '', last: false };
  }

  close(): void {
    this.socket.destroy();
  }
}

function upgraded(socket: Socket, { call }: Load, headers: Record<string, string>): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      path: call.path ?? '/', setHost: false, createConnection: () => socket,
      headers: { ...headers, host: destinationOf(call).host, connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' },
    } as never);
    request.on('error', reject);
    request.on('response', (response: IncomingMessage) => reject(new Error(`the upgrade was answered with ${response.statusCode}`)));
    request.on('upgrade', (_response: IncomingMessage, stream: Duplex) => resolve(stream));
    request.end();
  });
}
