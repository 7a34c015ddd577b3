import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { ActiveStream } from './active-stream.ts';

/** What is known of a stream now: while it runs for formatted header values, at its end for logs, metrics and spans. */
export function recordOf(stream: ActiveStream): TrafficRecord {
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
    path: stream.originalPath,
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
