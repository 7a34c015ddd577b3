/** Cluster DNS: answers for `cluster.local` over UDP and TCP. There is no way out of the cluster, so any other name is SERVFAIL at once. */
import dgram from 'node:dgram';
import net from 'node:net';
import dnsPacket, { type Answer, type Packet } from 'dns-packet';
import { createLogger } from '../base/log.ts';
import { messageOf } from '../base/errors.ts';
import type { Informer } from '../kube/client/informer.ts';
import type { KubeObject } from '../objects/meta.ts';
import type { EndpointSlice } from '../objects/kubernetes/endpoint-slice.ts';
import type { Service } from '../objects/kubernetes/service.ts';
import { answerQuestion, type ZoneRecord, type ZoneSource } from './dns-zone.ts';
import { CLUSTER_DOMAIN } from './settings.ts';

const log = createLogger('dns');
const TTL_SECONDS = 5;
/** Largest answer over UDP for clients that announce no size (RFC 1035). */
const PLAIN_UDP_BYTES = 512;
/** Larger announcements are not used: fragments get lost. */
const MAX_UDP_BYTES = 4096;
const MAX_TCP_CLIENTS = 256;
const TCP_IDLE_MS = 10_000;
const RCODE = { noError: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4 } as const;
const FLAG_AUTHORITATIVE = 1 << 10;
const FLAG_RECURSION_AVAILABLE = 1 << 7;

/** The answer to one packet, or undefined for what is no question at all (it is dropped, never answered: no loops). */
export function respond(source: ZoneSource, query: Buffer, maxBytes: number): Buffer | undefined {
  let packet: Packet & { rcode?: string; flag_qr?: boolean; opcode?: string };
  try {
    packet = dnsPacket.decode(query);
  } catch {
    return undefined;
  }
  if (packet.type === 'response') return undefined;
  const question = packet.questions?.[0];
  const edns = packet.additionals?.find((record) => record.type === 'OPT') as { udpPayloadSize?: number } | undefined;
  const limit = maxBytes > MAX_UDP_BYTES ? maxBytes : Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, edns?.udpPayloadSize ?? PLAIN_UDP_BYTES));
  const flags = ((packet.flags ?? 0) & dnsPacket.RECURSION_DESIRED) | FLAG_RECURSION_AVAILABLE;
  const reply = (rcode: number, extraFlags: number, rest: Partial<Packet>): Buffer =>
    dnsPacket.encode({
      type: 'response', flags: flags | extraFlags | rcode, ...(packet.id === undefined ? {} : { id: packet.id }), ...(packet.questions ? { questions: packet.questions } : {}), ...rest,
      additionals: [...(rest.additionals ?? []), ...(edns ? [{ type: 'OPT', name: '.', udpPayloadSize: MAX_UDP_BYTES, flags: 0, extendedRcode: 0, ednsVersion: 0, flag_do: false, options: [] } as unknown as Answer] : [])],
    });
  if (!question || packet.questions!.length !== 1) return reply(RCODE.formatError, 0, {});
  if (packet.opcode !== undefined && packet.opcode !== 'QUERY') return reply(RCODE.notImplemented, 0, {});
  const answer = answerQuestion(source, question.name, question.type);
  if (answer.kind === 'outside') return reply(RCODE.serverFailure, 0, {});
  if (answer.kind === 'no-such-name') return reply(RCODE.noSuchName, FLAG_AUTHORITATIVE, { authorities: [soa()] });
  // The client gets the name as it spelled it.
  const records = answer.records.map((record) => toAnswer(record.name === question.name.toLowerCase() ? { ...record, name: question.name } : record));
  const full = reply(RCODE.noError, FLAG_AUTHORITATIVE, records.length > 0 ? { answers: shuffle(records), additionals: (answer.extra ?? []).map(toAnswer) } : { authorities: [soa()] });
  return full.length <= limit ? full : reply(RCODE.noError, FLAG_AUTHORITATIVE | dnsPacket.TRUNCATED_RESPONSE, {});
}

function toAnswer(record: ZoneRecord): Answer {
  return { ...record, ttl: TTL_SECONDS, class: 'IN' } as Answer;
}

function soa(): Answer {
  return { name: CLUSTER_DOMAIN, type: 'SOA', ttl: TTL_SECONDS, class: 'IN', data: { mname: `ns.dns.${CLUSTER_DOMAIN}`, rname: `hostmaster.${CLUSTER_DOMAIN}`, serial: 1, refresh: 7200, retry: 1800, expire: 86_400, minimum: TTL_SECONDS } };
}

function shuffle<T>(items: T[]): T[] {
  for (let index = items.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [items[index], items[other]] = [items[other]!, items[index]!];
  }
  return items;
}

/** A zone source over informers, with slices indexed by service. */
export function zoneSource(services: Informer<Service>, slices: Informer<EndpointSlice>, namespaces: Informer<KubeObject>): ZoneSource {
  const byService = new Map<string, Map<string, EndpointSlice>>();
  slices.onEvent(({ type, object }) => {
    const key = `${object.metadata.namespace}/${object.metadata.labels?.['kubernetes.io/service-name'] ?? ''}`;
    const own = byService.get(key) ?? new Map<string, EndpointSlice>();
    if (type === 'deleted') own.delete(object.metadata.name);
    else own.set(object.metadata.name, object);
    if (own.size > 0) byService.set(key, own);
    else byService.delete(key);
  });
  return {
    service: (namespace, name) => services.items().get(`${namespace}/${name}`),
    services: () => services.items().values(),
    hasNamespace: (name) => namespaces.items().has(name),
    slices: (namespace, service) => [...(byService.get(`${namespace}/${service}`)?.values() ?? [])],
  };
}

/** Serves until the signal aborts; resolves when both sockets are open. */
export async function serveDns(source: ZoneSource, host: string, signal: AbortSignal, port = 53): Promise<{ readonly port: number }> {
  const udp = dgram.createSocket('udp4');
  udp.on('message', (query, peer) => {
    const answer = safely(() => respond(source, query, PLAIN_UDP_BYTES));
    if (answer) udp.send(answer, peer.port, peer.address, () => {});
  });
  udp.on('error', (error) => log.warn('udp socket', { error: error.message }));
  const tcp = net.createServer((socket) => serveTcp(source, socket));
  tcp.maxConnections = MAX_TCP_CLIENTS;
  await new Promise<void>((resolve, reject) => tcp.once('error', reject).listen(port, host, resolve));
  const bound = (tcp.address() as net.AddressInfo).port;
  await new Promise<void>((resolve, reject) => {
    udp.once('error', reject);
    udp.bind(bound, host, resolve);
  });
  signal.addEventListener('abort', () => (udp.close(), tcp.close()));
  return { port: bound };
}

function serveTcp(source: ZoneSource, socket: net.Socket): void {
  let data = Buffer.alloc(0);
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    data = Buffer.concat([data, chunk]);
    while (data.length >= 2 && data.length >= 2 + data.readUInt16BE(0)) {
      const length = data.readUInt16BE(0);
      const answer = safely(() => respond(source, data.subarray(2, 2 + length), 0xffff));
      data = data.subarray(2 + length);
      if (!answer) return void socket.destroy();
      const size = Buffer.alloc(2);
      size.writeUInt16BE(answer.length);
      socket.write(Buffer.concat([size, answer]));
    }
  });
}

function safely<T>(fn: () => T | undefined): T | undefined {
  try {
    return fn();
  } catch (error) {
    log.warn('query not answered', { error: messageOf(error) });
    return undefined;
  }
}
