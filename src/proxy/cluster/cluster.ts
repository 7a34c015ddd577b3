import type { PeerMetadata } from '../../telemetry/traffic-record.ts';
import type { ClusterStats } from '../stats.ts';

/** One endpoint of a cluster. Lives as long as EDS names it; counters are what balancers and breakers read. */
export interface Host {
  /** `10.1.2.3:9080`, or the path of a Unix socket. */
  readonly address: string;
  readonly ip: string;
  readonly port: number;
  readonly weight: number;
  readonly priority: number;
  readonly locality: string;
  /** False by EDS health status or by ejection. */
  readonly healthy: boolean;
  /** `tlsMode` of the transport socket match metadata, else ''. */
  readonly tlsMode: string;
  /** From the endpoint's `istio.workload` metadata. */
  readonly workload: PeerMetadata | undefined;
  activeRequests: number;
  activeConnections: number;
  /** True once EDS dropped it: pooled connections close when idle. */
  removed: boolean;
}

export interface PickContext {
  readonly hashKey: string | undefined;
  /** Hosts tried before in this request; avoided when possible. */
  readonly previous: readonly Host[];
  /** Original destination `ip:port`, for ORIGINAL_DST clusters. */
  readonly originalDestination: string | undefined;
  readonly random: () => number;
}

/** Outcome of one attempt as outlier detection sees it. */
export type AttemptOutcome =
  | { readonly kind: 'status'; readonly httpStatus: number }
  | { readonly kind: 'connect-failure' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'reset' }
  /** `final`: nothing but the connection is proxied (TCP), so this is the attempt's whole success. */
  | { readonly kind: 'connected'; readonly final?: boolean };

/** How to speak to a host: which TLS context (if any) and which HTTP version. */
export interface UpstreamTransport {
  /** Undefined = plaintext. */
  readonly tls: UpstreamTls | undefined;
  /** Connections begin with a PROXY header that names the client. */
  readonly proxyProtocol?: 'V1' | 'V2';
}

export interface UpstreamTls {
  readonly certificateSecret: string | undefined;
  readonly validationSecret: string | undefined;
  /** SDS name of revocation lists beside those that come with the roots. */
  readonly crlSecret: string | undefined;
  readonly sni: string | undefined;
  readonly autoSni: boolean;
  readonly alpn: readonly string[];
  /** Exact, prefix or suffix SAN matchers; empty = any. */
  readonly subjectAltNames: readonly { readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains' | 'regex'; readonly value: string }[];
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** `auto_san_validation`: the SNI (or Host) must be among the certificate's DNS names. */
  readonly autoSan: boolean;
  /** True when no validation context is given: any server certificate is taken. */
  readonly insecure: boolean;
}

export type ProtocolSelection = 'http1' | 'http2' | 'use-downstream';

/** One admission ticket of the circuit breakers; release exactly once. */
export interface Permit {
  release(): void;
}

/** A cluster at run time: config that changes in place by CDS/EDS while requests run. */
export interface Cluster {
  readonly name: string;
  readonly type: 'EDS' | 'STATIC' | 'STRICT_DNS' | 'LOGICAL_DNS' | 'ORIGINAL_DST';
  readonly connectTimeoutMs: number;
  readonly protocol: ProtocolSelection;
  /** 0 = unlimited. */
  readonly maxRequestsPerConnection: number;
  /** Streams on one HTTP/2 connection, beside what the host takes; 0 = the codec's own limit. @see Envoy Http2ProtocolOptions.max_concurrent_streams */
  readonly maxConcurrentStreams: number;
  /** Idle timeout of pooled connections. */
  readonly idleTimeoutMs: number;
  /** Address to bind upstream connections to (127.0.0.6 for InboundPassthroughCluster). */
  readonly sourceAddress: string | undefined;
  /** Set when hosts come by the name a request or a ClientHello asks for: the port of names that have none. `pick` takes their address as the original destination. */
  readonly dynamicPort: number | undefined;
  /** From `istio.services` metadata. */
  readonly service: { readonly host: string; readonly name: string; readonly namespace: string } | undefined;
  readonly hosts: readonly Host[];
  /** Undefined = no healthy upstream (UH). */
  pick(context: PickContext): Host | undefined;
  transportFor(host: Host): UpstreamTransport;
  report(host: Host, outcome: AttemptOutcome): void;
  /** Undefined = the breaker is open; the caller counts the overflow. */
  admit(resource: 'connection' | 'pending' | 'request' | 'retry'): Permit | undefined;
  /** `admit('connection')` refuses beyond it; a host without any connection gets one all the same (Envoy's rule, the pool's business). */
  readonly maxConnections: number;
  /** The data path counts connections, requests and responses here; membership, breakers and ejections are the cluster's own. */
  readonly stats: ClusterStats;
}

/** Clusters by name in the current snapshot. */
export interface ClusterSet {
  get(name: string): Cluster | undefined;
}
