/** Makes the calls of a case and notes what is seen. A fresh connection for every call unless `keepAlive`. */
import { request as httpRequest, Agent, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Call, Seen } from './case.ts';
import type { TestIdentities } from './identities.ts';
import { GATEWAY_IP, PEER_IP, SERVICE_ADDRESS, SIDECAR_IP } from './topology.ts';

/** Longest life of one call. */
const CALL_TIMEOUT_MS = 8000;
/** Raw answers and TCP streams are read until they have been silent for this long. */
const SILENCE_MS = 150;

export interface Destination {
  readonly address: string;
  readonly port: number;
  readonly source: string;
  readonly host: string;
}

/** Where a call connects to. Throws on a destination nobody knows. */
export function destinationOf(call: Omit<Call, 'expect'>): Destination {
  if (call.inbound !== undefined) return { address: SIDECAR_IP, port: call.inbound, source: call.from ?? PEER_IP, host: call.host ?? `client:${call.inbound}` };
  if (call.gateway !== undefined) return { address: GATEWAY_IP, port: call.gateway, source: call.from ?? PEER_IP, host: call.host ?? 'gateway' };
  const [name = '', portText = '80'] = (call.to ?? '').split(':');
  const address = SERVICE_ADDRESS.get(name) ?? (/^\d+\.\d+\.\d+\.\d+$/.test(name) ? name : undefined);
  if (address === undefined) throw new Error(`nobody knows the destination ${call.to}`);
  return { address, port: Number(portText), source: call.from ?? SIDECAR_IP, host: call.host ?? call.to ?? '' };
}

/** All repeats of a call. */
export async function makeCalls(call: Call, label: string, identities: TestIdentities): Promise<Seen[]> {
  const caller = new Caller(call, label, identities);
  const repeat = call.repeat ?? 1;
  try {
    if (call.parallel) return await Promise.all(Array.from({ length: repeat }, () => caller.call()));
    const seen: Seen[] = [];
    for (let i = 0; i < repeat; i++) seen.push(await caller.call());
    return seen;
  } finally {
    caller.close();
  }
}

type Partial_ = { -readonly [K in keyof Seen]?: Seen[K] };

class Caller {
  private readonly destination: Destination;
  private readonly agent: Agent | undefined;

  constructor(private readonly spec: Call, private readonly label: string, private readonly identities: TestIdentities) {
    this.destination = destinationOf(spec);
    this.agent = spec.keepAlive ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
  }

  close(): void {
    this.agent?.destroy();
  }

  async call(): Promise<Seen> {
    const startMs = performance.now();
    const startedAtMs = Date.now();
    const facts: Partial_ = {};
    let timer: NodeJS.Timeout | undefined;
    let connection: Duplex | undefined;
    const timeout = new Promise<Partial_>((resolve) => void (timer = setTimeout(() => resolve({ error: `no end after ${CALL_TIMEOUT_MS} ms` }), CALL_TIMEOUT_MS)));
    try {
      const { protocol = 'http1' } = this.spec;
      if (!this.agent) connection = await openConnection(this.spec, this.identities, facts);
      const answer = protocol === 'http2' || protocol === 'grpc' ? this.http2(connection!, facts) : protocol === 'websocket2' || protocol === 'connect2' ? this.http2Tunnel(connection!, facts) : protocol === 'tcp' || protocol === 'raw' ? this.bytes(connection!, facts) : this.http1(connection, facts);
      Object.assign(facts, await Promise.race([answer, timeout]));
    } catch (error) {
      Object.assign(facts, { closed: true, error: error instanceof Error ? error.message : String(error) });
    }
    clearTimeout(timer);
    connection?.destroy();
    return { headers: new Map(), body: '', trailers: new Map(), closed: false, localPort: 0, ...facts, startedAtMs, durationMs: performance.now() - startMs };
  }

  private headers(): Record<string, string | string[]> {
    const own: Record<string, string | string[]> = {};
    for (const [name, value] of Object.entries(this.spec.headers ?? {})) own[name.toLowerCase()] = typeof value === 'object' ? [...value] : String(value);
    return { 'user-agent': this.label, ...own };
  }

  private http1(connection: Duplex | undefined, facts: Partial_): Promise<Partial_> {
    const { spec, destination } = this;
    const { method = 'GET', path = '/', body } = spec;
    const upgrade = spec.protocol === 'websocket' ? { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' } : {};
    const host = destination.host === '' ? {} : { host: destination.host };
    const request = httpRequest({
      method, path, setHost: false, headers: { ...host, ...(this.agent ? {} : { connection: 'keep-alive' }), ...upgrade, ...this.headers(), ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }) },
      ...(this.agent ? { agent: this.agent, host: destination.address, port: destination.port, localAddress: destination.source } : { createConnection: () => connection as Socket }),
    } as never);
    const answer = httpAnswer(request, spec, facts);
    request.end(body);
    return answer;
  }

  private http2(connection: Duplex, facts: Partial_): Promise<Partial_> {
    const { spec, destination } = this;
    const grpc = spec.protocol === 'grpc';
    const session = connectHttp2(`http://${destination.host || 'none'}`, { createConnection: () => connection });
    const message = Buffer.from([0, 0, 0, 0, 0]);
    const stream = session.request({
      ':method': spec.method ?? (grpc ? 'POST' : 'GET'), ':path': spec.path ?? (grpc ? '/test.Echo/Say' : '/'), ':authority': destination.host, ':scheme': spec.tls ? 'https' : 'http',
      ...(grpc ? { 'content-type': 'application/grpc', te: 'trailers' } : {}), ...this.headers(),
    });
    stream.end(grpc ? message : spec.body);
    return http2Answer(session, stream, facts).finally(() => session.destroy());
  }

  /** A stream of raw bytes inside HTTP/2: CONNECT, or a WebSocket by RFC 8441. */
  private async http2Tunnel(connection: Duplex, facts: Partial_): Promise<Partial_> {
    const { spec, destination } = this;
    const session = connectHttp2(`http://${destination.host || 'none'}`, { createConnection: () => connection });
    try {
      const offered = await new Promise<boolean>((resolve) => {
        session.on('remoteSettings', ({ enableConnectProtocol }) => resolve(enableConnectProtocol === true));
        session.on('error', () => resolve(false));
        session.on('close', () => resolve(false));
      });
      const websocket = spec.protocol === 'websocket2';
      if (websocket && !offered) return { ...facts, closed: true, error: 'extended CONNECT is not offered' };
      const stream = session.request({
        ':method': 'CONNECT', ':authority': destination.host, ...(websocket ? { ':protocol': 'websocket', ':scheme': spec.tls ? 'https' : 'http', ':path': spec.path ?? '/', 'sec-websocket-version': '13' } : {}), ...this.headers(),
      }, { endStream: false });
      const answer = http2Answer(session, stream, facts);
      stream.on('response', (headers) => Number(headers[':status']) === 200 && stream.write(spec.send ?? 'hello'));
      stream.on('data', () => spec.untilEnd || setTimeout(() => stream.close(), 20));
      return await answer;
    } finally {
      session.destroy();
    }
  }

  /** Sends bytes, reads until the end or a silence. */
  private bytes(connection: Duplex, facts: Partial_): Promise<Partial_> {
    return new Promise((resolve) => {
      let body = '';
      let timer: NodeJS.Timeout | undefined;
      const done = (closed: boolean): void => {
        clearTimeout(timer);
        const status = /^HTTP\/1\.[01] (\d{3})/.exec(body)?.[1];
        resolve({ ...facts, body, closed, ...(status ? { status: Number(status) } : {}) });
      };
      const wait = (ms: number): void => {
        clearTimeout(timer);
        timer = setTimeout(() => done(false), ms);
      };
      connection.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1');
        wait(SILENCE_MS);
      });
      connection.on('end', () => done(true));
      connection.on('close', () => done(true));
      connection.on('error', () => done(true));
      wait(this.spec.send === undefined ? 2500 : 1500);
      if (this.spec.send !== undefined) connection.write(Buffer.from(this.spec.send, 'latin1'));
      if (this.spec.halfClose) connection.end();
    });
  }
}

/** Opens the connection of a call, with TLS where it asks for that. Rejects when it cannot be had. */
export async function openConnection(call: Omit<Call, 'expect'>, identities: TestIdentities, facts: Partial_ = {}): Promise<Socket> {
  const { address, port, source } = destinationOf(call);
  // A session of HTTP/2 does not see an end that leaves its own half open.
  const allowHalfOpen = !/2$|^grpc$/.test(call.protocol ?? '');
  const socket = connect({ host: address, port, localAddress: source, noDelay: true, allowHalfOpen } as never);
  await settled(socket, 'connect');
  facts.localPort = socket.localPort ?? 0;
  const { tls } = call;
  if (!tls) return socket;
  const alpn = tls.alpn ?? (/2$|^grpc$/.test(call.protocol ?? '') ? ['h2'] : []);
  const own = tls.mesh || tls.as ? identities.of(tls.as ?? 'other/peer') : undefined;
  const secure = connectTls({ socket, ...(tls.sni ? { servername: tls.sni } : {}), ...(alpn.length ? { ALPNProtocols: [...alpn] } : {}), ...(own ? { key: own.key, cert: own.cert } : {}), ...oldest(tls.maxVersion), rejectUnauthorized: false });
  await settled(secure, 'secureConnect');
  noteCertificate(secure, facts);
  return secure;
}

/** Clients of old: their ciphers are switched off in today's OpenSSL unless asked for. */
function oldest(maxVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | undefined) {
  return maxVersion === undefined ? {} : { maxVersion, minVersion: maxVersion, ...(maxVersion !== 'TLSv1.2' && { ciphers: 'DEFAULT@SECLEVEL=0' }) };
}

function settled(socket: Socket | TLSSocket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed before it was connected')));
  });
}

function noteCertificate(secure: TLSSocket, facts: Partial_): void {
  const peer = secure.getPeerCertificate() as { subjectaltname?: string; subject?: { CN?: string } } | undefined;
  facts.certificate = peer?.subjectaltname ?? peer?.subject?.CN ?? '';
  facts.alpn = secure.alpnProtocol || '';
}

function httpAnswer(request: ClientRequest, spec: Call, facts: Partial_): Promise<Partial_> {
  return new Promise((resolve) => {
    request.on('error', (error) => resolve({ ...facts, closed: true, error: error.message }));
    request.on('socket', (socket) => {
      const note = (): void => void (facts.localPort = socket.localPort ?? facts.localPort ?? 0);
      if (socket.connecting) socket.once('connect', note);
      else note();
    });
    request.on('upgrade', (response: IncomingMessage, socket: Duplex, head: Buffer) => {
      let body = head.toString('latin1');
      const finish = (): void => (socket.destroy(), resolve({ ...facts, status: response.statusCode ?? 0, headers: mapOf(response.rawHeaders), body }));
      socket.on('data', (chunk: Buffer) => ((body += chunk.toString('latin1')), spec.untilEnd || finish()));
      socket.on('end', finish);
      socket.on('error', finish);
      socket.write(spec.send ?? 'hello');
    });
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      const seen = (): Partial_ => ({ ...facts, status: response.statusCode ?? 0, headers: mapOf(response.rawHeaders), trailers: mapOf(response.rawTrailers), body: Buffer.concat(chunks).toString('latin1') });
      response.on('data', (chunk: Buffer) => void chunks.push(chunk));
      response.on('end', () => resolve(seen()));
      response.on('error', (error) => resolve({ ...seen(), closed: true, error: error.message }));
    });
  });
}

function http2Answer(session: ClientHttp2Session, stream: ReturnType<ClientHttp2Session['request']>, facts: Partial_): Promise<Partial_> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const seen: Partial_ = { ...facts, headers: new Map(), trailers: new Map() };
    const finish = (more: Partial_): void => resolve({ ...seen, body: Buffer.concat(chunks).toString('latin1'), ...more });
    session.on('error', (error) => finish({ closed: true, error: error.message }));
    stream.on('response', (headers) => {
      seen.status = Number(headers[':status'] ?? 0);
      seen.headers = new Map(Object.entries(headers).filter(([name]) => !name.startsWith(':')).map(([name, value]) => [name, [value].flat().join(', ')]));
    });
    stream.on('trailers', (trailers) => void (seen.trailers = new Map(Object.entries(trailers).map(([name, value]) => [name, String(value)]))));
    stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
    stream.on('error', (error) => finish({ closed: true, error: error.message }));
    stream.on('close', () => finish(seen.status === undefined || stream.rstCode !== 0 ? { closed: true } : {}));
    // The connection may go away without a word to the stream.
    session.on('close', () => finish(seen.status === undefined ? { closed: true } : {}));
  });
}

function mapOf(raw: readonly string[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase();
    map.set(name, map.has(name) ? `${map.get(name)}, ${raw[i + 1]}` : raw[i + 1]!);
  }
  return map;
}
