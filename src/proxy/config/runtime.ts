import type { PeerMetadata, TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { ClusterSet, UpstreamTls } from '../cluster/cluster.ts';
import type { NetworkFilter } from '../filters/network-filter.ts';
import type { RequestHead } from '../http/message.ts';
import type { RouteTable } from '../route/route-table.ts';

/**
 * What the data path executes: xDS compiled to plain data and closures. A snapshot is immutable and swapped whole; objects that did not change keep
 * their identity, so that the listeners know by `===` which filter chains to drain.
 */
export interface RuntimeSnapshot {
  /** By listener name (`virtualOutbound`, `0.0.0.0_9080`, …). */
  readonly listeners: ReadonlyMap<string, ListenerRuntime>;
  readonly clusters: ClusterSet;
}

/** One Listener of LDS. */
export interface ListenerRuntime {
  readonly name: string;
  /** IP address, without brackets. */
  readonly address: string;
  readonly port: number;
  /** Further addresses of the same listener (`additional_addresses`). */
  readonly additionalAddresses: readonly { readonly address: string; readonly port: number }[];
  /** False: reached only by hand-over from a listener with `useOriginalDst`. */
  readonly bindToPort: boolean;
  /** Takes the destination a connection had before it was redirected for its own (listener filter original_dst). */
  readonly useOriginalDst: boolean;
  /** Hands connections over to the listener of that destination, when there is one (`use_original_dst`: virtualOutbound, not virtualInbound). */
  readonly handOffRestoredDestination: boolean;
  readonly trafficDirection: 'inbound' | 'outbound' | 'unspecified';
  /** Connections must begin with a PROXY header; `optional`: those without one are served too. Undefined: nothing is looked for. */
  readonly proxyProtocol: 'required' | 'optional' | undefined;
  /** Undefined: the filter is not there. The predicate is false where `filter_disabled` matches the destination port. */
  readonly tlsInspector: ((destinationPort: number) => boolean) | undefined;
  readonly httpInspector: ((destinationPort: number) => boolean) | undefined;
  /** Default 15 000; 0 = wait for ever. */
  readonly listenerFiltersTimeoutMs: number;
  readonly continueOnListenerFiltersTimeout: boolean;
  readonly filterChains: readonly FilterChainRuntime[];
  readonly defaultFilterChain: FilterChainRuntime | undefined;
  /** Told of connections that no chain matches (flag NR). */
  readonly record: (record: TrafficRecord) => void;
}

/** Criteria of one chain; empty lists and undefined match anything. @see envoy.config.listener.v3.FilterChainMatch */
export interface ChainMatch {
  readonly destinationPort: number | undefined;
  readonly prefixRanges: readonly IpPrefix[];
  /** Lower case; `*.example.com` is a suffix. */
  readonly serverNames: readonly string[];
  /** `tls`, `raw_buffer` or ''. */
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
  readonly sourceType: 'any' | 'same-ip-or-loopback' | 'external';
  readonly sourcePrefixRanges: readonly IpPrefix[];
  readonly sourcePorts: readonly number[];
}

export interface IpPrefix {
  readonly address: string;
  readonly prefixLength: number;
}

export interface FilterChainRuntime {
  readonly name: string;
  readonly match: ChainMatch;
  /** Undefined = plaintext. */
  readonly tls: DownstreamTlsRuntime | undefined;
  /** Default 15 000 at gateways, else 0 = none. */
  readonly transportSocketConnectTimeoutMs: number;
  readonly network: HcmRuntime | TcpProxyRuntime;
}

export interface DownstreamTlsRuntime {
  /** SDS names of certificate and key (`default`, `kubernetes://…`), usually one. */
  readonly certificateSecrets: readonly string[];
  /** SDS name of the roots that client certificates are verified against. */
  readonly validationSecret: string | undefined;
  /** SDS name of revocation lists beside those that come with the roots. */
  readonly crlSecret: string | undefined;
  readonly requireClientCertificate: boolean;
  readonly alpn: readonly string[];
  readonly subjectAltNames: UpstreamTls['subjectAltNames'];
  readonly minVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3' | undefined;
  readonly ciphers: readonly string[];
  /** Client certificates that are accepted, by lower-case hex SHA-256 of the certificate or base64 SHA-256 of its public key; both empty = any. */
  readonly pins: { readonly certificates: readonly string[]; readonly publicKeys: readonly string[] };
}

/** A filter of the HTTP chain: `config` is what its factory's `parse` returned (see `proxy/filters/http-filter.ts`). */
/** What a filter is made of. */
export interface FilterConfig {
  readonly typeUrl: string;
  readonly config: unknown;
}

export interface HttpFilterRuntime {
  /** Name in the HCM config: the key of per-route configs. */
  readonly name: string;
  /** Type URL of the config: selects the factory. */
  readonly typeUrl: string;
  readonly config: unknown;
  /** Its config comes by ECDS and may change while requests run; undefined = there is none yet. Absent: `config` is it. */
  readonly discovered?: () => FilterConfig | undefined;
}

export type XfccMode = 'SANITIZE' | 'FORWARD_ONLY' | 'APPEND_FORWARD' | 'SANITIZE_SET' | 'ALWAYS_FORWARD_ONLY';

/** @see envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager */
export interface HcmRuntime {
  readonly kind: 'hcm';
  /** Asked in order before a byte of HTTP is read. Absent: nobody is. */
  readonly networkFilters?: readonly NetworkFilter[];
  readonly statPrefix: string;
  readonly direction: TrafficRecord['direction'];
  readonly codec: 'auto' | 'http1' | 'http2';
  /** Current table: RDS may change it at any time. Undefined while RDS has not answered: 404 NR as Envoy does for a null config. */
  readonly routes: () => RouteTable | undefined;
  /** In order, the router last. */
  readonly httpFilters: readonly HttpFilterRuntime[];
  /** Grows when a discovered filter config changes. Undefined: no filter is discovered. */
  readonly extensions: { readonly version: number } | undefined;
  readonly useRemoteAddress: boolean;
  readonly xffTrustedHops: number;
  readonly skipXffAppend: boolean;
  readonly xfcc: XfccMode;
  readonly xfccDetails: { readonly subject: boolean; readonly cert: boolean; readonly chain: boolean; readonly dns: boolean; readonly uri: boolean };
  readonly serverName: string;
  readonly serverHeaderTransformation: 'OVERWRITE' | 'APPEND_IF_ABSENT' | 'PASS_THROUGH';
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'KEEP_UNCHANGED' | 'REJECT_REQUEST' | 'UNESCAPE_AND_REDIRECT' | 'UNESCAPE_AND_FORWARD';
  readonly stripPort: 'none' | 'matching' | 'any';
  /** HTTP/2 clients may ask for upgrades by extended CONNECT. */
  readonly allowConnect: boolean;
  /** Upgrade types allowed by default, lower case (`websocket`, `connect`). */
  readonly upgrades: ReadonlySet<string>;
  readonly acceptHttp10: boolean;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly proxy100Continue: boolean;
  readonly preserveHeaderCase: boolean;
  /** Default 60 KiB = 61 440. */
  readonly maxRequestHeadersBytes: number;
  /** Default 100. */
  readonly maxHeadersCount: number;
  /** All 0 = none. */
  readonly streamIdleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly maxStreamDurationMs: number;
  /** Connection idle timeout; default 3 600 000. */
  readonly idleTimeoutMs: number;
  readonly maxRequestsPerConnection: number;
  readonly tracer: Tracer | undefined;
  readonly record: (record: TrafficRecord) => void;
}

/** @see envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy */
export interface TcpProxyRuntime {
  readonly kind: 'tcp';
  /** Asked in order before anything is opened upstream. Absent: nobody is. */
  readonly filters?: readonly NetworkFilter[];
  readonly statPrefix: string;
  readonly direction: TrafficRecord['direction'];
  readonly clusters: readonly { readonly name: string; readonly weight: number }[];
  readonly totalWeight: number;
  /** Upstreams are HTTP proxies that are asked for a tunnel to `hostname` (`host:port`). Undefined: bytes go to the upstream itself. */
  readonly tunnel: TunnelRuntime | undefined;
  /** Default 3 600 000; 0 = none. */
  readonly idleTimeoutMs: number;
  /** Default 1. */
  readonly maxConnectAttempts: number;
  readonly hashSourceIp: boolean;
  /** At open and at close of a connection, by `TcpProgress.phase`. */
  readonly progress: ((progress: TcpProgress) => void) | undefined;
  readonly record: (record: TrafficRecord) => void;
}

/** @see envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TunnelingConfig */
export interface TunnelRuntime {
  readonly hostname: string;
  /** Path of the POST that carries the bytes. Undefined: CONNECT. */
  readonly postPath: string | undefined;
}

/** Told while a TCP connection lives, so that byte counters move before it ends. */
export interface TcpProgress {
  readonly phase: 'open' | 'interval';
  /** Since the last report. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly record: () => TrafficRecord;
}

/** Makes one span per request. The HCM calls it after x-request-id is settled and before routing. */
export interface Tracer {
  start(head: RequestHead, context: SpanContext): Span | undefined;
}

export interface SpanContext {
  readonly direction: TrafficRecord['direction'];
  readonly startMs: number;
  readonly requestId: string;
  readonly sourceAddress: string;
}

export interface Span {
  /** Operation name (`reviews.default.svc.cluster.local:9080/*`), known after routing. */
  setOperation(name: string): void;
  /** Writes the propagation headers of this span into the request that goes upstream. */
  inject(head: RequestHead): void;
  finish(record: TrafficRecord): void;
}

/** Who this proxy is: for peer metadata, logs and the admin page. */
export interface ProxyNode {
  readonly id: string;
  readonly cluster: string;
  readonly type: 'sidecar' | 'router';
  /** Node metadata as it goes to the control plane (`WORKLOAD_NAME`, `LABELS`, `NAMESPACE`, `CLUSTER_ID`, …). */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly workload: PeerMetadata;
}
