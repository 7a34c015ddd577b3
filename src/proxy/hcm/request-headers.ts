import type { HcmRuntime } from '../config/runtime.ts';
import type { RequestHead } from '../http/message.ts';
import type { Connection } from '../io/connection.ts';
import { newRequestId } from './request-id.ts';
import { applyXfcc } from './xfcc.ts';

/** Only trusted callers may say these; since Envoy 1.33 nobody is internal by default, so every caller loses them. */
const INTERNAL_ONLY = [
  'x-envoy-internal', 'x-envoy-retriable-status-codes', 'x-envoy-retriable-header-names', 'x-envoy-retry-on', 'x-envoy-retry-grpc-on', 'x-envoy-max-retries', 'x-envoy-upstream-alt-stat-name', 'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms', 'x-envoy-upstream-rq-timeout-alt-response', 'x-envoy-expected-rq-timeout-ms', 'x-envoy-force-trace', 'x-envoy-ip-tags', 'x-envoy-original-url', 'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-upstream-stream-duration-ms',
] as const;
/** What the edge removes besides. */
const EDGE_ONLY = ['x-envoy-decorator-operation', 'x-envoy-downstream-service-cluster', 'x-envoy-downstream-service-node', 'x-envoy-original-path'] as const;

/** Who sent a request. */
export interface RequestSource {
  /** The client: the TCP peer, or what trusted proxies before us say. */
  readonly ip: string;
  /** `ip:port`; port 0 when the address came from a header. */
  readonly address: string;
}

/**
 * Header rules on the way in: client address, x-forwarded-*, x-envoy-*, x-forwarded-client-cert, x-request-id. `peer`: {@link peerOf} the connection.
 * @see Envoy ConnectionManagerUtility::mutateRequestHeaders
 */
export function receiveRequestHeaders(head: RequestHead, hcm: HcmRuntime, connection: Connection, ownIp: string, peer: RequestSource): RequestSource {
  const { headers } = head;
  const secure = connection.tls !== undefined;
  let source = peer;
  if (hcm.useRemoteAddress) source = edge(head, hcm, connection, source, ownIp);
  else {
    const forwarded = headers.has('x-forwarded-for') ? lastForwarded(headers.getAll('x-forwarded-for'), hcm.xffTrustedHops) : undefined;
    if (forwarded !== undefined) source = { ip: forwarded, address: withPort(forwarded, 0) };
    if (!headers.has('x-forwarded-proto')) headers.put('x-forwarded-proto', secure ? 'https' : 'http');
  }
  const proto = headers.get('x-forwarded-proto');
  if (proto === 'http' || proto === 'https') head.scheme = proto;
  else headers.put('x-forwarded-proto', head.scheme);
  for (const name of INTERNAL_ONLY) headers.remove(name);
  applyXfcc(headers, hcm.xfcc, hcm.xfccDetails, connection.tls);
  if (hcm.generateRequestId) {
    const keep = headers.has('x-request-id') && (!hcm.useRemoteAddress || hcm.preserveExternalRequestId);
    if (!keep) headers.put('x-request-id', newRequestId());
  }
  return source;
}

/** The other end of a connection as the source of its requests. */
export function peerOf(connection: Connection): RequestSource {
  return { ip: connection.remoteAddress, address: withPort(connection.remoteAddress, connection.remotePort) };
}

/** The first proxy of the mesh: the peer is the client unless `xffTrustedHops` proxies stand before us. */
function edge(head: RequestHead, hcm: HcmRuntime, connection: Connection, peer: RequestSource, ownIp: string): RequestSource {
  const { headers } = head;
  let source = peer;
  const before = headers.has('x-forwarded-for') ? headers.getAll('x-forwarded-for').join(',') : '';
  if (hcm.xffTrustedHops > 0) {
    const trusted = lastForwarded(before === '' ? [] : [before], hcm.xffTrustedHops - 1);
    if (trusted !== undefined) source = { ip: trusted, address: withPort(trusted, 0) };
  }
  if (!hcm.skipXffAppend) {
    // A loopback address means nothing to the next hop: Envoy names itself instead.
    const loopback = connection.remoteAddress.startsWith('127.') || connection.remoteAddress === '::1';
    const hop = loopback && ownIp !== '' ? ownIp : connection.remoteAddress;
    headers.put('x-forwarded-for', before === '' ? hop : `${before},${hop}`);
  }
  if (hcm.xffTrustedHops === 0 || !headers.has('x-forwarded-proto')) headers.put('x-forwarded-proto', connection.tls !== undefined ? 'https' : 'http');
  for (const name of EDGE_ONLY) headers.remove(name);
  headers.put('x-envoy-external-address', source.ip);
  return source;
}

/** The address `hops` from the right, when there is one and it looks like an address. */
function lastForwarded(lines: readonly string[], hops: number): string | undefined {
  if (lines.length === 0) return undefined;
  const addresses = lines.join(',').split(',');
  const address = addresses[addresses.length - 1 - hops]?.trim();
  return address !== undefined && /^[0-9a-fA-F.:]+$/.test(address) && address !== '' ? address : undefined;
}

function withPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
