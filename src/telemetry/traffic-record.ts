/** One response flag as Envoy prints it in %RESPONSE_FLAGS%. */
export type ResponseFlag =
  | 'LH' | 'UH' | 'UT' | 'LR' | 'UR' | 'UF' | 'UC' | 'UO' | 'NR' | 'DI' | 'FI' | 'RL' | 'UAEX' | 'RLSE' | 'DC' | 'URX' | 'SI' | 'IH' | 'DPE' | 'UMSDR'
  | 'RFCF' | 'NFCF' | 'DT' | 'UPE' | 'NC' | 'OM' | 'DF' | 'DO' | 'DR' | 'UDO';

/** What one side knows of the other end's workload. Absent strings are '' here and become `unknown` where Istio prints that. */
export interface PeerMetadata {
  readonly workload: string;
  readonly namespace: string;
  readonly app: string;
  readonly version: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly cluster: string;
}

/**
 * Everything that is known about one request or one TCP connection when it ends: the one input of access logs, metrics and spans. Valid during the call it is
 * given to: what was not asked for may never have been worked out.
 */
export interface TrafficRecord {
  readonly direction: 'inbound' | 'outbound' | 'gateway';
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' | 'tcp';
  /** Unix milliseconds when the first byte arrived. */
  readonly startMs: number;
  readonly durationMs: number;
  /** 0 when no response was sent. */
  readonly responseCode: number;
  readonly responseCodeDetails: string;
  readonly responseFlags: readonly ResponseFlag[];
  readonly connectionTerminationDetails: string;
  readonly upstreamTransportFailureReason: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Downstream wire bytes, headers included: what istio_request_bytes counts. */
  readonly wireBytesReceived: number;
  readonly wireBytesSent: number;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  requestHeader(name: string): string | undefined;
  responseHeader(name: string): string | undefined;
  readonly grpc: boolean;
  /** Empty when not gRPC or no status arrived. */
  readonly grpcStatus: string;
  readonly routeName: string;
  readonly upstreamCluster: string;
  readonly upstreamHost: string;
  readonly upstreamLocalAddress: string;
  readonly downstreamLocalAddress: string;
  readonly downstreamRemoteAddress: string;
  readonly requestedServerName: string;
  readonly attempts: number;
  /** SPIFFE ids of the TLS peers, '' when plaintext. */
  readonly peerPrincipal: string;
  readonly localPrincipal: string;
  readonly peer: PeerMetadata | undefined;
  /** From the cluster's `istio.services` metadata. */
  readonly destinationService: { readonly host: string; readonly name: string; readonly namespace: string } | undefined;
  /** Number of the downstream connection in this process, from 1. */
  readonly connectionId?: number | undefined;
  /** The TCP peer, when `downstreamRemoteAddress` came from x-forwarded-for. Default: the same. */
  readonly downstreamDirectRemoteAddress?: string | undefined;
  /** First byte in → last request byte in. */
  readonly requestDurationMs?: number | undefined;
  /** First byte in → first byte from upstream. */
  readonly responseDurationMs?: number | undefined;
  /** First byte from upstream → last byte sent downstream. */
  readonly responseTxDurationMs?: number | undefined;
  /** Body of a reply the proxy made itself. */
  readonly localReplyBody?: string | undefined;
  responseTrailer?(name: string): string | undefined;
  readonly downstreamTlsVersion?: string | undefined;
  readonly downstreamTlsCipher?: string | undefined;
  readonly traceId?: string | undefined;
  /** gRPC messages seen, for istio_request_messages_total. */
  readonly requestMessages?: number | undefined;
  readonly responseMessages?: number | undefined;
}

/** The request part of a record of a connection on which no HTTP was spoken. */
export const NO_REQUEST = {
  method: '', path: '', authority: '', scheme: '', requestHeader: () => undefined, responseHeader: () => undefined, grpc: false, grpcStatus: '', routeName: '',
} as const satisfies Partial<TrafficRecord>;
