import type { Cluster, Host, UpstreamTls } from '../cluster/cluster.ts';
import type { ResetReason } from '../http/stream.ts';
import { openConnection } from '../io/client.ts';
import type { ClientTlsOptions, ConnectFailure } from '../io/client.ts';
import type { ByteMeter, Connection } from '../io/connection.ts';
import { splitNames } from '../io/tls-facts.ts';
import { encodeProxyHeader } from './proxy-header.ts';
import type { ProxiedAddresses } from './proxy-header.ts';
import type { TlsContexts } from '../tls/contexts.ts';
import { matchesSan } from '../tls/san-match.ts';

/** What a connection is opened for. */
export interface HostTarget {
  readonly cluster: Cluster;
  readonly host: Host;
  /** ALPNs instead of the cluster's own. */
  readonly alpn: readonly string[] | undefined;
  /** SNI when the cluster takes it from the request. */
  readonly serverName: string | undefined;
  /** The client's connection, for hosts that are told of it in a PROXY header. */
  readonly proxied?: ProxiedAddresses | undefined;
}

export interface HostConnectHandlers {
  onConnect(connection: Connection): void;
  onFailure(reason: ResetReason, transportFailure: string): void;
}

/** Opens a connection to a host as its cluster says: address, TLS, timeout, source address. Returns how to give up. */
export function connectHost(target: HostTarget, contexts: TlsContexts, handlers: HostConnectHandlers): () => void {
  const { cluster, host } = target;
  const { stats } = cluster;
  const { tls, proxyProtocol } = cluster.transportFor(host);
  const client = tls === undefined ? undefined : clientTls(target, tls, contexts);
  if (client === null) {
    const timer = setTimeout(() => handlers.onFailure('remote connection failure', 'TLS_error:Secret_is_not_supplied_by_SDS'), 0);
    return () => clearTimeout(timer);
  }
  stats.counters.upstream_cx_total++;
  return openConnection(
    { host: host.ip, port: host.port, path: host.address.startsWith('/') ? host.address : undefined, sourceAddress: cluster.sourceAddress, timeoutMs: cluster.connectTimeoutMs, tls: client, preface: proxyProtocol && encodeProxyHeader(proxyProtocol, target.proxied) },
    {
      onConnect(connection) {
        if (client !== undefined) stats.counters['ssl.handshake']++;
        countBytes(connection, stats);
        handlers.onConnect(connection);
      },
      onFailure(failure) {
        stats.counters.upstream_cx_connect_fail++;
        if (failure.kind === 'timeout') stats.counters.upstream_cx_connect_timeout++;
        if (failure.kind === 'tls') stats.counters[failure.code === 'SAN_MISMATCH' ? 'ssl.fail_verify_san' : 'ssl.connection_error']++;
        handlers.onFailure(failure.kind === 'timeout' ? 'connection timeout' : 'remote connection failure', transportFailureOf(failure));
      },
    },
  );
}

function countBytes(connection: Connection, { counters }: Cluster['stats']): void {
  const meter: ByteMeter = {
    read: (bytes) => void (counters.upstream_cx_rx_bytes_total += bytes),
    written: (bytes) => void (counters.upstream_cx_tx_bytes_total += bytes),
  };
  // A preface has left already.
  meter.read(connection.bytesRead);
  meter.written(connection.bytesWritten);
  connection.meter = meter;
}

/** Null: a secret is missing. */
function clientTls(target: HostTarget, tls: UpstreamTls, contexts: TlsContexts): ClientTlsOptions | null {
  const context = contexts.upstream(tls);
  if (context === undefined) return null;
  const alpn = target.alpn ?? tls.alpn;
  const serverName = tls.autoSni ? target.serverName : tls.sni;
  const destination = `${target.host.address}|${serverName ?? ''}|${alpn.join(',')}|${tls.subjectAltNames.map((name) => name.kind + name.value).join(',')}`;
  return {
    secureContext: context.secureContext,
    serverName,
    alpn,
    verify: !tls.insecure,
    checkPeer: (subjectAltName) => checkNames(tls, serverName, subjectAltName),
    session: context.sessions.get(destination),
    onSession: (session) => void context.sessions.set(destination, session),
    localUriSan: context.localUriSan,
  };
}

function checkNames(tls: UpstreamTls, serverName: string | undefined, subjectAltName: string): string | undefined {
  const names = splitNames(subjectAltName).map((name) => name.slice(name.indexOf(':') + 1));
  if (!matchesSan(tls.subjectAltNames, names)) return 'verify cert failed: SAN matcher';
  if (tls.autoSan && serverName !== undefined && !matchesSan([{ kind: 'exact', value: serverName }], names)) return 'verify cert failed: SAN matcher';
  return undefined;
}

/** strerror texts of what connect(2) says. */
const ERRNO_TEXT: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'Connection refused'],
  ['EHOSTUNREACH', 'No route to host'],
  ['ENETUNREACH', 'Network is unreachable'],
  ['ETIMEDOUT', 'Connection timed out'],
  ['ECONNRESET', 'Connection reset by peer'],
  ['EACCES', 'Permission denied'],
  ['EPERM', 'Operation not permitted'],
  ['EADDRNOTAVAIL', 'Cannot assign requested address'],
  ['ENOENT', 'No such file or directory'],
]);

function transportFailureOf(failure: ConnectFailure): string {
  if (failure.kind === 'timeout') return '';
  if (failure.kind === 'connect') return `${failure.code === 'ENETUNREACH' ? 'immediate' : 'delayed'} connect error: ${ERRNO_TEXT.get(failure.code) ?? failure.message}`;
  if (failure.code === 'SAN_MISMATCH') return 'TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: SAN matcher:TLS_error_end';
  if (failure.code === 'ECONNRESET') return 'TLS_error:|268435703:SSL routines:OPENSSL_internal:connection closed during handshake:TLS_error_end';
  if (/CERT|ISSUER|SELF_SIGNED|VERIFY/.test(failure.code)) return `TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: ${failure.message}:TLS_error_end`;
  return `TLS_error:|${failure.message}:TLS_error_end`;
}
