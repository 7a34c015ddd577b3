/** The services behind the proxies: one listener a port, the address tells which backend it is. HTTP/1, HTTP/2, gRPC, TLS, TCP; scripted per case. */
import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2, constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { BackendScript, ReceivedRequest } from './case.ts';
import { firstBytes, PeekedStream, rawSocket } from './peeked.ts';
import { BACKEND_OF_ADDRESS, BACKEND_PORTS } from './topology.ts';
import type { TestIdentities } from './identities.ts';

interface Facts {
  readonly backend: string;
  readonly socket: Duplex;
  readonly client: string;
  readonly alpn: string;
  readonly sni: string;
}

type Answer = ServerResponse | Http2ServerResponse;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Listens until the process ends. */
export class Backends {
  readonly received: ReceivedRequest[] = [];
  private scripts = new Map<string, BackendScript[]>();
  private readonly used = new Map<BackendScript, number>();
  private readonly factsOf = new WeakMap<object, Facts>();
  private readonly http1 = createHttp1({ insecureHTTPParser: true, keepAliveTimeout: 60_000 }, (request, response) => void this.serve(request, response));
  private readonly http2 = createHttp2({ settings: { enableConnectProtocol: true } }, (request, response) => void this.serve(request, response));

  constructor(private readonly identities: TestIdentities) {
    this.http1.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => this.upgrade(request, socket, head));
    this.http1.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => this.tunnel(request, socket, head));
    this.http2.on('connect', (request: Http2ServerRequest, response: Http2ServerResponse) => this.tunnelOfStream(request, response));
    this.http1.on('clientError', (_error, socket) => socket.destroy());
    this.http2.on('sessionError', () => {});
  }

  async listen(): Promise<void> {
    for (const port of Object.values(BACKEND_PORTS)) {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => void this.accept(socket, port));
      await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
    }
  }

  /** Forgets what was received; `scripts` are by backend name or `*`. */
  reset(scripts: Readonly<Record<string, BackendScript | readonly BackendScript[]>>): void {
    this.received.length = 0;
    this.used.clear();
    this.scripts = new Map(Object.entries(scripts).map(([name, script]) => [name, [script].flat() as BackendScript[]]));
  }

  private nextScript(backend: string): BackendScript {
    for (const step of this.scripts.get(backend) ?? this.scripts.get('*') ?? []) {
      const used = this.used.get(step) ?? 0;
      if (step.times !== undefined && used >= step.times) continue;
      this.used.set(step, used + 1);
      return step;
    }
    return {};
  }

  private async accept(socket: Socket, port: number): Promise<void> {
    socket.on('error', () => {});
    const backend = BACKEND_OF_ADDRESS.get(socket.localAddress ?? '') ?? `nobody at ${socket.localAddress}`;
    const facts: Facts = { backend, socket, client: '', alpn: '', sni: '' };
    if (port === BACKEND_PORTS.banner) {
      socket.write(`banner of ${backend}\n`);
      return this.echo(socket, facts);
    }
    await this.speak(socket, facts, port);
  }

  /** Finds out what is spoken, layer by layer. */
  private async speak(stream: Duplex, facts: Facts, port: number): Promise<void> {
    const first = await firstBytes(stream, 10_000);
    if (first === undefined) return void stream.destroy();
    const peeked = new PeekedStream(stream, first);
    peeked.on('error', () => {});
    this.factsOf.set(peeked, facts);
    if (first[0] === 0x16) return this.decrypt(peeked, facts, port);
    const text = first.toString('latin1', 0, 24);
    if (text.startsWith('PRI * HTTP/2')) return void this.http2.emit('connection', peeked);
    if (/^(?:[A-Z]+ (?:\/|\*|http)|CONNECT )/.test(text)) return void this.http1.emit('connection', peeked);
    this.echo(peeked, facts);
  }

  private decrypt(stream: Duplex, facts: Facts, port: number): void {
    const { key, cert, ca } = this.identities.of(facts.backend);
    const secure = new TLSSocket(stream as Socket, { isServer: true, key, cert, ca, requestCert: true, rejectUnauthorized: false, ALPNProtocols: undefined, // The metadata exchange of Istio's TCP filter is not spoken here.
      ALPNCallback: ({ protocols }: { protocols: string[] }) => protocols.find((name) => name !== 'istio-peer-exchange'),
    } as never);
    secure.on('error', () => {});
    secure.once('secure', () => {
      const peer = secure.getPeerCertificate() as { subjectaltname?: string } | undefined;
      const servername = (secure as unknown as { servername?: string | false }).servername;
      void this.speak(secure, { ...facts, client: peer?.subjectaltname ?? 'no certificate', alpn: secure.alpnProtocol || '', sni: servername || '' }, port);
    });
  }

  /** Bytes come back behind the name of the backend; the end of input is answered with the end of output. */
  private echo(stream: Duplex, facts: Facts): void {
    const record = this.record(facts, { method: '', path: '', authority: '', version: 'tcp', headers: new Map() });
    const script = this.nextScript(facts.backend);
    if (script.end === 'reset') return void rawSocket(facts.socket)?.resetAndDestroy();
    if (script.end === 'close') return void stream.destroy();
    stream.on('data', (chunk: Buffer) => {
      record.body += chunk.toString('latin1');
      stream.write(script.raw ?? `${facts.backend}: ${chunk.toString('latin1')}`);
    });
    stream.on('end', () => stream.end(`${facts.backend} saw the end\n`));
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const facts = this.factsOf.get(socket);
    if (!facts) return void socket.destroy();
    this.record(facts, headOf(request));
    const script = this.nextScript(facts.backend);
    if (script.status !== undefined) return void socket.end(`HTTP/1.1 ${script.status} No\r\ncontent-length: 0\r\n\r\n`);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n');
    this.echoUpgraded(socket, head, facts, script);
  }

  private tunnel(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const facts = this.factsOf.get(socket);
    if (!facts) return void socket.destroy();
    this.record(facts, headOf(request));
    const script = this.nextScript(facts.backend);
    if (script.status !== undefined) return void socket.end(`HTTP/1.1 ${script.status} No\r\ncontent-length: 0\r\n\r\n`);
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    this.echoUpgraded(socket, head, facts, script);
  }

  /** CONNECT and extended CONNECT over HTTP/2. */
  private tunnelOfStream(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const facts = this.factsOf.get(this.socketOfSession(request.stream.session as { socket?: Duplex } | undefined));
    if (!facts) return void response.end();
    this.record(facts, headOf(request));
    const script = this.nextScript(facts.backend);
    request.stream.respond({ ':status': script.status ?? 200 }, { endStream: script.status !== undefined });
    if (script.status === undefined) this.echoUpgraded(request.stream, Buffer.alloc(0), { ...facts, socket: request.stream }, script);
  }

  private echoUpgraded(socket: Duplex, head: Buffer, facts: Facts, script: BackendScript): void {
    const answer = (chunk: Buffer): void => {
      socket.write(`${facts.backend}: ${chunk.toString('latin1')}`);
      if (script.end === 'close') socket.end();
      else if (script.end === 'reset') setTimeout(() => rawSocket(facts.socket)?.resetAndDestroy(), 30);
    };
    if (head.length > 0) answer(head);
    socket.on('data', answer);
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
  }

  private record(facts: Facts, head: Pick<ReceivedRequest, 'method' | 'path' | 'authority' | 'version' | 'headers'>): ReceivedRequest {
    const record: ReceivedRequest = { backend: facts.backend, client: facts.client, alpn: facts.alpn, sni: facts.sni, body: '', ...head };
    this.received.push(record);
    return record;
  }

  private async serve(request: IncomingMessage | Http2ServerRequest, response: Answer): Promise<void> {
    const session = 'stream' in request ? (request.stream.session as { socket?: Duplex } | undefined) : undefined;
    const facts = this.factsOf.get('stream' in request ? this.socketOfSession(session) : request.socket);
    if (!facts) return void response.end('who am I?');
    const record = this.record(facts, headOf(request));
    const script = this.nextScript(facts.backend);
    request.on('data', (chunk: Buffer) => (record.body += chunk.toString('latin1')));
    if (script.echo) {
      response.writeHead(script.status ?? 200, { 'x-backend': facts.backend });
      if ('flushHeaders' in response) response.flushHeaders();
      return void request.pipe(response as ServerResponse);
    }
    request.on('error', () => {});
    await new Promise<void>((resolve) => {
      request.once('end', resolve);
      request.once('close', resolve);
    });
    if (script.delayMs) await pause(script.delayMs);
    this.answer(request, response, facts, script);
  }

  private readonly sessions = new WeakMap<object, Duplex>();

  /** The http2 module hides sockets behind a proxy object that refuses to be a key. */
  private socketOfSession(session: { socket?: Duplex } | undefined): Duplex {
    if (!session) return this.http1 as unknown as Duplex;
    const known = this.sessions.get(session);
    if (known) return known;
    const symbol = Object.getOwnPropertySymbols(session).find((each) => each.description === 'socket');
    let socket = (symbol ? (session as Record<symbol, unknown>)[symbol] : undefined) as (Duplex & { stream?: Duplex }) | undefined;
    // JSStreamSocket keeps the stream it wraps.
    while (socket && !this.factsOf.has(socket) && socket.stream) socket = socket.stream;
    if (socket) this.sessions.set(session, socket);
    return socket ?? (this.http1 as unknown as Duplex);
  }

  private answer(request: IncomingMessage | Http2ServerRequest, response: Answer, facts: Facts, script: BackendScript): void {
    const grpc = String(request.headers['content-type'] ?? '').startsWith('application/grpc');
    if (script.end === 'reset') return void rawSocket(facts.socket)?.resetAndDestroy();
    if (script.end === 'stream' && 'stream' in response) return response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    if (script.end === 'close' || script.end === 'stream') return void rawSocket(facts.socket)?.destroy();
    if (script.raw !== undefined) return void facts.socket.end(script.raw);
    const body = script.body ?? (grpc ? '' : `${facts.backend}\n`);
    for (const [name, value] of Object.entries(script.headers ?? {})) response.setHeader(name, value);
    response.setHeader('x-backend', facts.backend);
    if (grpc) return this.answerGrpc(response as Http2ServerResponse, script);
    if (script.end === 'midway') {
      response.setHeader('content-length', String(body.length * 2));
      response.writeHead(script.status ?? 200);
      (response as ServerResponse).write(body);
      return void setTimeout(() => rawSocket(facts.socket)?.destroy(), 20);
    }
    if (!('stream' in response) && !script.trailers) response.setHeader('content-length', String(Buffer.byteLength(body)));
    response.writeHead(script.status ?? 200);
    if (script.trailers) response.addTrailers(script.trailers);
    (response as ServerResponse).end(request.method === 'HEAD' ? undefined : body);
  }

  /** One message (`body` in hex, empty without) and the status in the trailers; a status that is not 0 comes alone ("trailers only"). */
  private answerGrpc(response: Http2ServerResponse, script: BackendScript): void {
    response.setHeader('content-type', 'application/grpc');
    const status = script.grpcStatus ?? 0;
    if (status !== 0) {
      response.setHeader('grpc-status', String(status));
      for (const [name, value] of Object.entries(script.trailers ?? {})) response.setHeader(name, value);
      response.writeHead(script.status ?? 200);
      return void response.end();
    }
    response.writeHead(script.status ?? 200);
    response.addTrailers({ 'grpc-status': '0', ...script.trailers });
    const message = Buffer.from(script.body ?? '', 'hex');
    const frame = Buffer.alloc(5 + message.length);
    frame.writeUInt32BE(message.length, 1);
    frame.set(message, 5);
    response.end(frame);
  }
}

function headOf(request: IncomingMessage | Http2ServerRequest): Pick<ReceivedRequest, 'method' | 'path' | 'authority' | 'version' | 'headers'> {
  const headers = new Map<string, string>();
  const raw = request.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase();
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${raw[i + 1]}` : raw[i + 1]!);
  }
  return { method: request.method ?? '', path: request.url ?? '', authority: headers.get(':authority') ?? headers.get('host') ?? '', version: `HTTP/${request.httpVersion}`, headers };
}
