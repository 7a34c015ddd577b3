/** The operators of the access-log format language: one table. */
import { withoutPort } from '../address.ts';
import type { ResponseFlag, TrafficRecord } from '../traffic-record.ts';
import { compileTime } from './time.ts';

type Known = Partial<TrafficRecord>;

/** Reads one value; undefined when it is not known. Numbers stay numbers in JSON. */
export interface Operator {
  readonly read: (known: Known) => string | number | undefined;
}

/** What an operator needs beside the record. */
export interface FormatEnvironment {
  /** `%HOSTNAME%`. */
  readonly hostname: string;
  /** `%ENVIRONMENT(X)%`. */
  readonly variable: (name: string) => string | undefined;
}

/** Envoy's long names of response flags (`%RESPONSE_FLAGS_LONG%`). @see envoy/stream_info/stream_info.h */
const LONG_FLAGS: Readonly<Record<ResponseFlag, string>> = {
  LH: 'FailedLocalHealthCheck', UH: 'NoHealthyUpstream', UT: 'UpstreamRequestTimeout', LR: 'LocalReset', UR: 'UpstreamRemoteReset', UF: 'UpstreamConnectionFailure',
  UC: 'UpstreamConnectionTermination', UO: 'UpstreamOverflow', NR: 'NoRouteFound', DI: 'DelayInjected', FI: 'FaultInjected', RL: 'RateLimited', UAEX: 'UnauthorizedExternalService',
  RLSE: 'RateLimitServiceError', DC: 'DownstreamConnectionTermination', URX: 'UpstreamRetryLimitExceeded', SI: 'StreamIdleTimeout', IH: 'InvalidEnvoyRequestHeaders',
  DPE: 'DownstreamProtocolError', UMSDR: 'UpstreamMaxStreamDurationReached', RFCF: 'ResponseFromCacheFilter', NFCF: 'NoFilterConfigFound', DT: 'DurationTimeout',
  UPE: 'UpstreamProtocolError', NC: 'NoClusterFound', OM: 'OverloadManagerTerminated', DF: 'DnsResolutionFailed', DO: 'DropOverload', DR: 'DownstreamRemoteReset', UDO: 'UnconditionalDropOverload',
};

const GRPC_STATUS_NAMES = ['OK', 'Canceled', 'Unknown', 'InvalidArgument', 'DeadlineExceeded', 'NotFound', 'AlreadyExists', 'PermissionDenied', 'ResourceExhausted', 'FailedPrecondition', 'Aborted', 'OutOfRange', 'Unimplemented', 'Internal', 'Unavailable', 'DataLoss', 'Unauthenticated'];

/** '' counts as unknown. */
const text = (read: (known: Known) => string | undefined): Reader => (known) => read(known) || undefined;
const isHttp = (known: Known): boolean => known.protocol !== 'tcp';

type Reader = Operator['read'];

/** Operators without arguments. */
const PLAIN: Readonly<Record<string, Reader>> = {
  PROTOCOL: (k) => (isHttp(k) ? k.protocol : undefined),
  RESPONSE_CODE: (k) => (isHttp(k) ? k.responseCode : 0),
  RESPONSE_CODE_DETAILS: text((k) => k.responseCodeDetails),
  RESPONSE_FLAGS: (k) => (k.responseFlags?.length ? k.responseFlags.join(',') : '-'),
  RESPONSE_FLAGS_LONG: (k) => (k.responseFlags?.length ? k.responseFlags.map((flag) => LONG_FLAGS[flag]).join(',') : '-'),
  CONNECTION_TERMINATION_DETAILS: text((k) => k.connectionTerminationDetails),
  BYTES_RECEIVED: (k) => k.bytesReceived,
  BYTES_SENT: (k) => k.bytesSent,
  DOWNSTREAM_WIRE_BYTES_RECEIVED: (k) => k.wireBytesReceived,
  DOWNSTREAM_WIRE_BYTES_SENT: (k) => k.wireBytesSent,
  DURATION: (k) => rounded(k.durationMs),
  REQUEST_DURATION: (k) => rounded(k.requestDurationMs),
  RESPONSE_DURATION: (k) => rounded(k.responseDurationMs),
  RESPONSE_TX_DURATION: (k) => rounded(k.responseTxDurationMs),
  UPSTREAM_HOST: text((k) => k.upstreamHost),
  UPSTREAM_CLUSTER: text((k) => k.upstreamCluster),
  UPSTREAM_CLUSTER_RAW: text((k) => k.upstreamCluster),
  UPSTREAM_LOCAL_ADDRESS: text((k) => k.upstreamLocalAddress),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: text((k) => ipOf(k.upstreamLocalAddress)),
  UPSTREAM_REMOTE_ADDRESS: text((k) => k.upstreamHost),
  UPSTREAM_TRANSPORT_FAILURE_REASON: text((k) => k.upstreamTransportFailureReason?.replaceAll(' ', '_')),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: (k) => k.attempts,
  DOWNSTREAM_LOCAL_ADDRESS: text((k) => k.downstreamLocalAddress),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: text((k) => ipOf(k.downstreamLocalAddress)),
  DOWNSTREAM_LOCAL_PORT: text((k) => portOf(k.downstreamLocalAddress)),
  DOWNSTREAM_REMOTE_ADDRESS: text((k) => k.downstreamRemoteAddress),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: text((k) => ipOf(k.downstreamRemoteAddress)),
  DOWNSTREAM_REMOTE_PORT: text((k) => portOf(k.downstreamRemoteAddress)),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: text(directAddress),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: text((k) => ipOf(directAddress(k))),
  DOWNSTREAM_PEER_URI_SAN: text((k) => k.peerPrincipal),
  DOWNSTREAM_LOCAL_URI_SAN: text((k) => k.localPrincipal),
  DOWNSTREAM_TLS_VERSION: text((k) => k.downstreamTlsVersion),
  DOWNSTREAM_TLS_CIPHER: text((k) => k.downstreamTlsCipher),
  REQUESTED_SERVER_NAME: text((k) => k.requestedServerName),
  ROUTE_NAME: text((k) => k.routeName),
  // Envoy fills it in only while it formats a local reply; in its logs it is always empty, not `-`.
  LOCAL_REPLY_BODY: () => '',
  CONNECTION_ID: (k) => k.connectionId,
  TRACE_ID: text((k) => k.traceId),
  GRPC_STATUS: text((k) => grpcStatusName(k.grpcStatus)),
  GRPC_STATUS_NUMBER: (k) => (k.grpcStatus ? Number(k.grpcStatus) : undefined),
};

/** Operators Envoy has whose data our proxy does not keep: printed as unknown, never refused, so that one exotic field does not cost the listener. */
const UNKNOWN_HERE = new Set(['DYNAMIC_METADATA', 'CLUSTER_METADATA', 'UPSTREAM_METADATA', 'METADATA', 'FILTER_STATE', 'UPSTREAM_FILTER_STATE', 'FILTER_CHAIN_NAME', 'VIRTUAL_CLUSTER_NAME',
  'STREAM_ID', 'UNIQUE_ID', 'ACCESS_LOG_TYPE', 'CEL', 'COMMON_DURATION', 'EMIT_TIME', 'UPSTREAM_WIRE_BYTES_RECEIVED', 'UPSTREAM_WIRE_BYTES_SENT', 'UPSTREAM_HEADER_BYTES_RECEIVED', 'UPSTREAM_HEADER_BYTES_SENT',
  'DOWNSTREAM_HEADER_BYTES_RECEIVED', 'DOWNSTREAM_HEADER_BYTES_SENT', 'UPSTREAM_HOST_NAME', 'UPSTREAM_PROTOCOL', 'UPSTREAM_PEER_SUBJECT', 'UPSTREAM_PEER_ISSUER', 'UPSTREAM_PEER_URI_SAN', 'UPSTREAM_PEER_CERT', 'UPSTREAM_TLS_VERSION',
  'UPSTREAM_TLS_CIPHER', 'UPSTREAM_LOCAL_URI_SAN', 'UPSTREAM_CONNECTION_ID', 'UPSTREAM_LOCAL_PORT', 'DOWNSTREAM_PEER_SUBJECT', 'DOWNSTREAM_LOCAL_SUBJECT', 'DOWNSTREAM_PEER_DNS_SAN', 'DOWNSTREAM_LOCAL_DNS_SAN', 'DOWNSTREAM_PEER_ISSUER', 'DOWNSTREAM_PEER_CERT',
  'DOWNSTREAM_PEER_CERT_V_START', 'DOWNSTREAM_PEER_CERT_V_END', 'DOWNSTREAM_PEER_FINGERPRINT_256', 'DOWNSTREAM_PEER_FINGERPRINT_1', 'DOWNSTREAM_PEER_SERIAL', 'DOWNSTREAM_TLS_SESSION_ID', 'DOWNSTREAM_TRANSPORT_FAILURE_REASON', 'REQUEST_TX_DURATION', 'ROUNDTRIP_DURATION', 'TLS_JA3_FINGERPRINT']);

/**
 * Compiles one operator. Throws a text that names it when it is unknown or badly used.
 * @see https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#command-operators
 */
export function compileOperator(name: string, argument: string | undefined, maxLength: number | undefined, environment: FormatEnvironment | undefined): Operator {
  const read = readerOf(name, argument, environment);
  if (maxLength === undefined) return { read };
  return { read: (known) => { const value = read(known); return typeof value === 'string' ? value.slice(0, maxLength) : value; } };
}

function readerOf(name: string, argument: string | undefined, environment: FormatEnvironment | undefined): Reader {
  if (name === 'GRPC_STATUS' && argument) return grpcStatusReader(argument);
  if (Object.hasOwn(PLAIN, name)) return PLAIN[name]!;
  switch (name) {
    case 'START_TIME': {
      const format = compileTime(argument);
      return (k) => (k.startMs === undefined ? undefined : format(k.startMs));
    }
    case 'REQ':
      return headerReader(name, argument, requestHeader);
    case 'RESP':
      return headerReader(name, argument, (k, header) => k.responseHeader?.(header));
    case 'TRAILER':
      return headerReader(name, argument, (k, header) => k.responseTrailer?.(header));
    case 'REQ_WITHOUT_QUERY': {
      const read = headerReader(name, argument, requestHeader);
      return (k) => String(read(k) ?? '').replace(/\?.*$/s, '') || undefined;
    }
    case 'HOSTNAME':
      return () => environment?.hostname || undefined;
    case 'ENVIRONMENT': {
      const value = environment?.variable(argument ?? '')?.slice(0, 1024);
      return () => value || undefined;
    }
    default:
      if (UNKNOWN_HERE.has(name)) return () => undefined;
      throw new Error(`unknown access log operator %${name}%`);
  }
}

function headerReader(operator: string, argument: string | undefined, read: (known: Known, header: string) => string | undefined): Reader {
  const [first = '', second = '', ...rest] = (argument ?? '').toLowerCase().split('?');
  if (first === '' || rest.length > 0) throw new Error(`%${operator}% needs one header name or two with a question mark between: %${operator}(${argument ?? ''})%`);
  return (known) => read(known, first) || (second && read(known, second)) || undefined;
}

/** Pseudo headers are fields of the record. */
function requestHeader(known: Known, name: string): string | undefined {
  switch (name) {
    case ':method':
      return known.method;
    case ':path':
      return known.path;
    case ':authority':
    case 'host':
      return known.authority;
    case ':scheme':
      return known.scheme;
    default:
      return known.requestHeader?.(name);
  }
}

/** Envoy prints whole milliseconds. */
function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.floor(ms);
}

function directAddress(known: Known): string | undefined {
  return known.downstreamDirectRemoteAddress ?? known.downstreamRemoteAddress;
}

function ipOf(address: string | undefined): string | undefined {
  return address === undefined ? undefined : withoutPort(address);
}

function portOf(address: string | undefined): string | undefined {
  return address === undefined ? undefined : /:(\d+)$/.exec(address)?.[1];
}

function grpcStatusName(status: string | undefined): string | undefined {
  return status ? (GRPC_STATUS_NAMES[Number(status)] ?? status) : undefined;
}

/** `%GRPC_STATUS(SNAKE_STRING)%` and friends. */
function grpcStatusReader(style: string): Reader {
  if (style === 'NUMBER') return PLAIN['GRPC_STATUS_NUMBER']!;
  if (style === 'CAMEL_STRING') return PLAIN['GRPC_STATUS']!;
  if (style === 'SNAKE_STRING') return text((k) => grpcStatusName(k.grpcStatus)?.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase());
  throw new Error(`%GRPC_STATUS(${style})%: the argument is CAMEL_STRING, SNAKE_STRING or NUMBER`);
}
