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

/** What is known of a stream now: while it runs for formatted header values, at its end for logs, metrics and spans. Worked out as it is asked for. */
export function recordOf(stream: RecordedStream): TrafficRecord {
  return new StreamRecord(stream, performance.now());
}

/** A record as a view of its stream: nearly every reader asks for a part of it. */
class StreamRecord implements TrafficRecord {
  constructor(
    private readonly stream: RecordedStream,
    private readonly now: number,
  ) {}

  get direction(): TrafficRecord['direction'] {
    return this.stream.direction;
  }
  get protocol(): TrafficRecord['protocol'] {
    return this.stream.request.protocol;
  }
  get startMs(): number {
    return this.stream.startMs;
  }
  get durationMs(): number {
    return this.now - this.stream.startedAt;
  }
  get responseCode(): number {
    return this.stream.response?.status ?? 0;
  }
  get responseCodeDetails(): string {
    return this.stream.details;
  }
  get responseFlags(): readonly ResponseFlag[] {
    return this.stream.flags;
  }
  get connectionTerminationDetails(): string {
    return '';
  }
  get upstreamTransportFailureReason(): string {
    return this.stream.router?.transportFailure ?? '';
  }
  get bytesReceived(): number {
    return this.stream.bytesReceived;
  }
  get bytesSent(): number {
    return this.stream.bytesSent;
  }
  get wireBytesReceived(): number {
    return this.stream.stream.wireBytesReceived;
  }
  get wireBytesSent(): number {
    return this.stream.stream.wireBytesSent;
  }
  get method(): string {
    return this.stream.request.method;
  }
  get path(): string {
    return this.stream.request.path;
  }
  get authority(): string {
    return this.stream.request.authority;
  }
  get scheme(): string {
    return this.stream.request.scheme;
  }
  requestHeader(name: string): string | undefined {
    return this.stream.request.headers.get(name);
  }
  responseHeader(name: string): string | undefined {
    return this.stream.response?.headers.get(name);
  }
  responseTrailer(name: string): string | undefined {
    return this.stream.trailers?.get(name);
  }
  get grpc(): boolean {
    return this.stream.grpc;
  }
  get grpcStatus(): string {
    const { grpc, trailers, response } = this.stream;
    return grpc ? (trailers?.get('grpc-status') ?? response?.headers.get('grpc-status') ?? '') : '';
  }
  get routeName(): string {
    return this.stream.route?.name ?? '';
  }
  get upstreamCluster(): string {
    return this.stream.clusterName;
  }
  get upstreamHost(): string {
    return this.stream.router?.host?.address ?? '';
  }
  get upstreamLocalAddress(): string {
    return this.stream.router?.localAddress ?? '';
  }
  get downstreamLocalAddress(): string {
    return this.stream.info.localAddress;
  }
  get downstreamRemoteAddress(): string {
    return this.stream.source.address;
  }
  get downstreamDirectRemoteAddress(): string {
    return this.stream.info.remoteAddress;
  }
  get requestedServerName(): string {
    return this.stream.info.serverName;
  }
  get attempts(): number {
    return this.stream.router?.attempts ?? 0;
  }
  get peerPrincipal(): string {
    const { direction, info, router } = this.stream;
    return direction === 'inbound' ? (info.connection.tls?.peer?.uriSans[0] ?? '') : (router?.peerPrincipal ?? '');
  }
  get localPrincipal(): string {
    const { direction, info, router } = this.stream;
    return direction === 'inbound' ? (info.connection.tls?.localUriSan ?? '') : (router?.localPrincipal ?? '');
  }
  get peer(): PeerMetadata | undefined {
    return this.stream.peer;
  }
  get destinationService(): TrafficRecord['destinationService'] {
    return this.stream.router?.request.cluster.service;
  }
  get connectionId(): number {
    return this.stream.info.id;
  }
  get requestDurationMs(): number | undefined {
    const { requestEndedAt, startedAt } = this.stream;
    return requestEndedAt === 0 ? undefined : requestEndedAt - startedAt;
  }
  get responseDurationMs(): number | undefined {
    const { router, startedAt } = this.stream;
    return router === undefined || router.firstByteAt === 0 ? undefined : router.firstByteAt - startedAt;
  }
  get responseTxDurationMs(): number | undefined {
    const { router } = this.stream;
    return router === undefined || router.firstByteAt === 0 ? undefined : this.now - router.firstByteAt;
  }
  get localReplyBody(): string | undefined {
    return this.stream.localBody;
  }
}
