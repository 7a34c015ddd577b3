// DNS proxy on 15053: answers names of the mesh, forwards everything else to the resolvers of the pod.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { decode, encode, TRUNCATED_RESPONSE, type Answer, type Packet } from 'dns-packet';
import { createLogger } from '../../base/log.ts';
import type { NameTableIndex } from './name-table.ts';

const log = createLogger('dns');

/** Seconds a client may keep an answer: short, because services come and go. */
const TTL_SECONDS = 30;
const UPSTREAM_TIMEOUT_MS = 5000;
/** Flag "authoritative answer". */
const AUTHORITATIVE = 1 << 10;
const RECURSION_AVAILABLE = 1 << 7;

export interface DnsServerOptions {
  readonly address: string;
  /** 0: chosen by the system (tests). */
  readonly port: number;
  /** The current table; undefined until the control plane has sent one. */
  readonly table: () => NameTableIndex | undefined;
  /** Resolvers of resolv.conf, asked in order. */
  readonly upstream: readonly { readonly host: string; readonly port: number }[];
  readonly onRequest?: (kind: 'local' | 'forwarded' | 'failed') => void;
}

/** Both listeners of the proxy. */
export interface DnsServer {
  readonly port: number;
  close(): void;
}

/** Binds UDP and TCP on one port. */
export async function openDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const tcp = createServer((socket) => serveTcp(socket, options));
  const port = await new Promise<number>((resolve, reject) => {
    tcp.once('error', reject);
    tcp.listen(options.port, options.address, () => resolve((tcp.address() as { port: number }).port));
  });
  const udp = createSocket(options.address.includes(':') ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    udp.once('error', reject);
    udp.bind(port, options.address, resolve);
  });
  udp.on('error', (error) => log.warn('UDP socket', { error: error.message }));
  udp.on('message', (query, from) => {
    void resolveQuery(query, options, 'udp').then((answer) => answer && udp.send(answer, from.port, from.address, () => {}));
  });
  return { port, close: () => closeAll(udp, tcp) };
}

function closeAll(udp: UdpSocket, tcp: Server): void {
  udp.close();
  tcp.close();
}

function serveTcp(socket: Socket, options: DnsServerOptions): void {
  let buffered: Buffer = Buffer.alloc(0);
  socket.setTimeout(30_000, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    while (buffered.length >= 2 && buffered.length >= 2 + buffered.readUInt16BE(0)) {
      const length = buffered.readUInt16BE(0);
      const query = buffered.subarray(2, 2 + length);
      buffered = buffered.subarray(2 + length);
      void resolveQuery(query, options, 'tcp').then((answer) => answer && !socket.destroyed && socket.write(framed(answer)));
    }
  });
}

function framed(message: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(2 + message.length);
  out.writeUInt16BE(message.length, 0);
  out.set(message, 2);
  return out;
}

/** Undefined for what is no query: such packets get no answer at all. */
async function resolveQuery(query: Buffer, options: DnsServerOptions, transport: 'udp' | 'tcp'): Promise<Uint8Array | undefined> {
  let packet: Packet;
  try {
    packet = decode(query);
  } catch {
    return undefined;
  }
  const question = packet.questions?.[0];
  if (packet.type !== 'query' || !question) return undefined;
  const local = packet.questions?.length === 1 && (question.type === 'A' || question.type === 'AAAA') ? options.table()?.lookup(question.name) : undefined;
  if (local) {
    options.onRequest?.('local');
    const ips = shuffled(question.type === 'A' ? local.ipv4 : local.ipv6);
    const owner = local.canonicalName ?? question.name;
    const answers: Answer[] = [
      ...(local.canonicalName === undefined ? [] : [{ type: 'CNAME' as const, name: question.name, ttl: TTL_SECONDS, class: 'IN' as const, data: local.canonicalName }]),
      ...ips.map((data) => ({ type: question.type as 'A', name: owner, ttl: TTL_SECONDS, class: 'IN' as const, data })),
    ];
    return fit({ type: 'response', id: packet.id ?? 0, flags: AUTHORITATIVE | RECURSION_AVAILABLE | ((packet.flags ?? 0) & 0x100), questions: packet.questions ?? [], answers }, packet, transport);
  }
  return forward(query, packet, options, transport);
}

/** A UDP answer that is too long for the client is cut and marked, so that it comes again over TCP. */
function fit(response: Packet, query: Packet, transport: 'udp' | 'tcp'): Uint8Array {
  const full = encode(response);
  if (transport === 'tcp') return full;
  const edns = query.additionals?.find((record) => record.type === 'OPT') as { udpPayloadSize?: number } | undefined;
  if (full.length <= Math.max(512, edns?.udpPayloadSize ?? 512)) return full;
  return encode({ ...response, flags: (response.flags ?? 0) | TRUNCATED_RESPONSE, answers: [] });
}

function shuffled<T>(list: readonly T[]): T[] {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}

async function forward(query: Buffer, packet: Packet, options: DnsServerOptions, transport: 'udp' | 'tcp'): Promise<Uint8Array> {
  for (const server of options.upstream) {
    try {
      const answer = transport === 'udp' ? await askUdp(query, server) : await askTcp(query, server);
      options.onRequest?.('forwarded');
      return answer;
    } catch (thrown) {
      log.debug('upstream did not answer', { server: server.host, error: thrown instanceof Error ? thrown.message : String(thrown) });
    }
  }
  options.onRequest?.('failed');
  const SERVFAIL = 2;
  return encode({ type: 'response', id: packet.id ?? 0, flags: RECURSION_AVAILABLE | SERVFAIL, questions: packet.questions ?? [], answers: [] });
}

function askUdp(query: Buffer, server: { readonly host: string; readonly port: number }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(server.host.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => done(new Error('timeout')), UPSTREAM_TIMEOUT_MS);
    const done = (result: Buffer | Error): void => {
      clearTimeout(timer);
      socket.close();
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    socket.once('error', done);
    // A connected socket takes answers only from the server asked; the id must match too.
    socket.connect(server.port, server.host, () => socket.send(query));
    socket.on('message', (message) => message.length >= 12 && message.readUInt16BE(0) === query.readUInt16BE(0) && done(message));
  });
}

function askTcp(query: Buffer, server: { readonly host: string; readonly port: number }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, server.host, () => socket.write(framed(query)));
    let buffered: Buffer = Buffer.alloc(0);
    socket.setTimeout(UPSTREAM_TIMEOUT_MS, () => socket.destroy(new Error('timeout')));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the resolver closed the connection')));
    socket.on('data', (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk]);
      if (buffered.length < 2 || buffered.length < 2 + buffered.readUInt16BE(0)) return;
      resolve(buffered.subarray(2, 2 + buffered.readUInt16BE(0)));
      socket.destroy();
    });
  });
}
