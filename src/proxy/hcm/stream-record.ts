import type { PeerMetadata, ResponseFlag, TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { HeaderMap, RequestHead, ResponseHead } from '../http/message.ts';
import type { ServerStream } from '../http/stream.ts';
import type { RouteEntry } from '../route/route-table.ts';
import type { Router } from '../router/router.ts';
import type { HttpConnectionInfo } from './connection-info.ts';
import type { RequestSource } from './request-headers.ts';

/** The facts of a stream that its record is made of. */
export interface RecordedStream {
  readonly direction: TrafficRecord['direction'];
  readonly startMs: number;
  /** By performance.now(). */
  readonly startedAt: number;
  /** 0 while the request is still coming. */
  readonly requestEndedAt: number;
  readonly request: RequestHead;
  /** Path as the client sent it. */
  readonly originalPath: string;
  readonly response: ResponseHead | undefined;
  readonly trailers: HeaderMap | undefined;
  readonly router: Router | undefined;
  readonly route: RouteEntry | undefined;
  readonly clusterName: string;
  readonly info: HttpConnectionInfo;
  readonly source: RequestSource;
  readonly stream: ServerStream;
  readonly flags: readonly ResponseFlag[];
  readonly details: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly grpc: boolean;
  readonly peer: PeerMetadata | undefined;
  readonly localBody: string | undefined;
}

/** What is known of a stream now: while it runs for formatted header values, at its end for logs, metrics and spans. */
export function recordOf(stream: RecordedStream): TrafficRecord {
  const { request, response, router, info } = stream;
  const { tls } = info.connection;
  const now = performance.now();
  const inbound = stream.direction === 'inbound';
  return {
    direction: stream.direction,
    protocol: request.protocol,
    startMs: stream.startMs,
    durationMs: now - stream.startedAt,
    responseCode: response?.status ?? 0,
    responseCodeDetails: stream.details,
    responseFlags: stream.flags,
    connectionTerminationDetails: '',
    upstreamTransportFailureReason: router?.transportFailure ?? '',
    bytesReceived: stream.bytesReceived,
    bytesSent: stream.bytesSent,
    wireBytesReceived: stream.stream.wireBytesReceived,
    wireBytesSent: stream.stream.wireBytesSent,
    method: request.method,
    path: request.path,
    authority: request.authority,
    scheme: request.scheme,
    requestHeader: (name) => request.headers.get(name),
    responseHeader: (name) => response?.headers.get(name),
    responseTrailer: (name) => stream.trailers?.get(name),
    grpc: stream.grpc,
    grpcStatus: stream.grpc ? (stream.trailers?.get('grpc-status') ?? response?.headers.get('grpc-status') ?? '') : '',
    routeName: stream.route?.name ?? '',
    upstreamCluster: stream.clusterName,
    upstreamHost: router?.host?.address ?? '',
    upstreamLocalAddress: router?.localAddress ?? '',
    downstreamLocalAddress: info.localAddress,
    downstreamRemoteAddress: stream.source.address,
    downstreamDirectRemoteAddress: info.remoteAddress,
    requestedServerName: info.serverName,
    attempts: router?.attempts ?? 0,
    peerPrincipal: inbound ? (tls?.peer?.uriSans[0] ?? '') : (router?.peerPrincipal ?? ''),
    localPrincipal: inbound ? (tls?.localUriSan ?? '') : (router?.localPrincipal ?? ''),
    peer: stream.peer,
    destinationService: router?.request.cluster.service,
    connectionId: info.id,
    requestDurationMs: stream.requestEndedAt === 0 ? undefined : stream.requestEndedAt - stream.startedAt,
    responseDurationMs: router === undefined || router.firstByteAt === 0 ? undefined : router.firstByteAt - stream.startedAt,
    responseTxDurationMs: router === undefined || router.firstByteAt === 0 ? undefined : now - router.firstByteAt,
    localReplyBody: stream.localBody,
  };
}
