/** Istio's standard metrics from traffic records: every label by istio-proxy's rules, one handle per label set. */
import type { CounterHandle, HistogramHandle, Labels, MetricRegistry } from './metrics/registry.ts';
import type { PeerMetadata, TrafficRecord } from './traffic-record.ts';

/** Bounds of Istio's histograms (milliseconds and bytes alike). */
export const ISTIO_BUCKETS: readonly number[] = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000];

export interface IstioMetricsOptions {
  readonly registry: MetricRegistry;
  /** The workload this proxy belongs to. */
  readonly local: PeerMetadata;
  /** True: the Host header never becomes `destination_service`. */
  readonly disableHostHeaderFallback: boolean;
  /** `reporter` of inbound traffic: `destination`, or `waypoint`. */
  readonly inboundReporter?: 'destination' | 'waypoint';
  /**
   * Label sets kept apart; further ones are counted with an unknown peer and service. Host headers and peer metadata come from the network, so
   * without a bound anybody could fill the memory. Default 10 000.
   */
  readonly maxLabelSets?: number;
}

interface HttpHandles {
  readonly requests: CounterHandle;
  readonly duration: HistogramHandle;
  readonly requestBytes: HistogramHandle;
  readonly responseBytes: HistogramHandle;
  requestMessages: CounterHandle | undefined;
  responseMessages: CounterHandle | undefined;
  readonly labels: Labels;
}

/** What the labels of an HTTP request depend on, with the handles found for it. */
interface KnownLabels {
  readonly direction: TrafficRecord['direction'];
  readonly code: number;
  readonly grpc: boolean;
  readonly grpcStatus: string;
  readonly routeName: string;
  readonly peer: PeerMetadata | undefined;
  readonly service: TrafficRecord['destinationService'];
  /** Matters only without a service. */
  readonly authority: string;
  readonly peerPrincipal: string;
  readonly localPrincipal: string;
  readonly handles: HttpHandles;
}

/** Label sets remembered per cluster for the quick way; one is dropped for each that comes then. */
const RECENT_PER_CLUSTER = 8;

interface TcpHandles {
  readonly sent: CounterHandle;
  readonly received: CounterHandle;
  readonly opened: CounterHandle;
  readonly closed: CounterHandle;
}

/** Beyond this many keys the handle cache starts anew; the series themselves stay. */
const MAX_CACHED = 10_000;

/** Counts what one proxy reports. @see https://istio.io/latest/docs/reference/config/metrics/ */
export class IstioMetrics {
  private readonly http = new Map<string, HttpHandles>();
  private readonly tcp = new Map<string, TcpHandles>();
  private readonly keys = new RecordKeys();
  private readonly labelSets = new Set<string>();
  private readonly recent = new Map<string, KnownLabels[]>();

  constructor(private readonly options: IstioMetricsOptions) {}

  /** One HTTP request that ended. */
  request(record: TrafficRecord): void {
    const handles = this.httpHandles(record);
    handles.requests.inc();
    handles.duration.observe(record.durationMs);
    handles.requestBytes.observe(record.wireBytesReceived);
    handles.responseBytes.observe(record.wireBytesSent);
    if (record.grpc && (record.requestMessages || record.responseMessages)) this.messages(handles, record);
  }

  /** One TCP connection whose peer is known. */
  opened(record: TrafficRecord): void {
    this.tcpHandles(record).opened.inc();
  }

  /** Bytes since the last call for this connection. */
  bytes(record: TrafficRecord, receivedBytes: number, sentBytes: number): void {
    const handles = this.tcpHandles(record);
    handles.received.inc(receivedBytes);
    handles.sent.inc(sentBytes);
  }

  /** One TCP connection that ended; its last bytes go through {@link bytes}. */
  closed(record: TrafficRecord): void {
    this.tcpHandles(record).closed.inc();
  }

  private messages(handles: HttpHandles, record: TrafficRecord): void {
    const { registry } = this.options;
    handles.requestMessages ??= registry.counter('istio_request_messages_total', '').labels(handles.labels);
    handles.responseMessages ??= registry.counter('istio_response_messages_total', '').labels(handles.labels);
    handles.requestMessages.inc(record.requestMessages ?? 0);
    handles.responseMessages.inc(record.responseMessages ?? 0);
  }

  private labelsOf(record: TrafficRecord): Labels {
    const labels = istioLabels(record, this.options);
    const key = Object.values(labels).join('\u0000');
    if (this.labelSets.has(key)) return labels;
    if (this.labelSets.size >= (this.options.maxLabelSets ?? 10_000)) return istioLabels(anonymous(record), this.options);
    this.labelSets.add(key);
    return labels;
  }

  private bound(): void {
    if (this.http.size + this.tcp.size < MAX_CACHED) return;
    this.http.clear();
    this.tcp.clear();
    this.keys.clear();
    this.recent.clear();
  }

  /** The requests of one caller to one cluster have equal labels: comparing with the last ones is cheaper than any key. */
  private httpHandles(record: TrafficRecord): HttpHandles {
    if (record.responseFlags.length > 0) return this.findHttp(record);
    const { upstreamCluster } = record;
    let recent = this.recent.get(upstreamCluster);
    if (recent !== undefined) for (const known of recent) if (describes(known, record)) return known.handles;
    const handles = this.findHttp(record);
    if (recent === undefined) {
      if (this.recent.size >= MAX_CACHED) this.recent.clear();
      this.recent.set(upstreamCluster, (recent = []));
    }
    if (recent.length >= RECENT_PER_CLUSTER) recent.shift();
    const { direction, responseCode: code, grpc, grpcStatus, routeName, peer, destinationService: service, authority, peerPrincipal, localPrincipal } = record;
    recent.push({ direction, code, grpc, grpcStatus, routeName, peer, service, authority, peerPrincipal, localPrincipal, handles });
    return handles;
  }

  private findHttp(record: TrafficRecord): HttpHandles {
    const key = this.keys.of(record);
    const known = this.http.get(key);
    if (known) return known;
    const { registry } = this.options;
    const labels = this.labelsOf(record);
    const handles: HttpHandles = {
      requests: registry.counter('istio_requests_total', '').labels(labels),
      duration: registry.histogram('istio_request_duration_milliseconds', '', ISTIO_BUCKETS).labels(labels),
      requestBytes: registry.histogram('istio_request_bytes', '', ISTIO_BUCKETS).labels(labels),
      responseBytes: registry.histogram('istio_response_bytes', '', ISTIO_BUCKETS).labels(labels),
      requestMessages: undefined,
      responseMessages: undefined,
      labels,
    };
    this.bound();
    this.http.set(key, handles);
    return handles;
  }

  private tcpHandles(record: TrafficRecord): TcpHandles {
    const key = this.keys.of(record);
    const known = this.tcp.get(key);
    if (known) return known;
    const { registry } = this.options;
    const labels = this.labelsOf(record);
    const handle = (name: string): CounterHandle => registry.counter(name, '').labels(labels);
    const handles: TcpHandles = {
      sent: handle('istio_tcp_sent_bytes_total'),
      received: handle('istio_tcp_received_bytes_total'),
      opened: handle('istio_tcp_connections_opened_total'),
      closed: handle('istio_tcp_connections_closed_total'),
    };
    this.bound();
    this.tcp.set(key, handles);
    return handles;
  }
}

function describes(known: KnownLabels, record: TrafficRecord): boolean {
  const { destinationService: service, grpc } = record;
  return (
    known.code === record.responseCode && known.peer === record.peer && known.service === service && known.direction === record.direction && known.grpc === grpc && known.routeName === record.routeName &&
    known.peerPrincipal === record.peerPrincipal && known.localPrincipal === record.localPrincipal && (!grpc || known.grpcStatus === record.grpcStatus) && (service?.host ? true : known.authority === record.authority)
  );
}

/** The record without what its network peers chose. */
function anonymous(record: TrafficRecord): TrafficRecord {
  return Object.create(record, { peer: { value: undefined }, destinationService: { value: undefined }, authority: { value: '' } }) as TrafficRecord;
}

/**
 * Short keys for everything the labels depend on. Long strings become numbers once: hashing a joined text of 200 characters for every request costs
 * three times the counting itself.
 */
class RecordKeys {
  private readonly ids = new Map<string, number>();
  private readonly peers = new WeakMap<PeerMetadata, number>();

  of(record: TrafficRecord): string {
    const { peer, destinationService: service } = record;
    const kind = record.protocol === 'tcp' ? 't' : record.grpc ? `g${record.grpcStatus}` : 'h';
    const flags = record.responseFlags.length > 0 ? record.responseFlags.join(',') : '';
    return `${record.direction[0]}${kind}|${record.responseCode}|${flags}|${peer ? this.peer(peer) : ''}|${this.id(record.upstreamCluster)}|${this.id(record.routeName)}|${this.id(service?.host ?? record.authority)}|${this.id(record.peerPrincipal)}|${this.id(record.localPrincipal)}`;
  }

  clear(): void {
    this.ids.clear();
  }

  private id(text: string): number {
    let id = this.ids.get(text);
    if (id === undefined) this.ids.set(text, (id = this.next++));
    return id;
  }

  /** Never used twice, so that a key made before {@link clear} cannot mean something else after it. */
  private next = 0;

  /** By identity where the object is known, else by value: peers come and go with connections. */
  private peer(peer: PeerMetadata): number {
    const known = this.peers.get(peer);
    if (known !== undefined) return known;
    const id = this.id(`\u0000${peer.workload}|${peer.namespace}|${peer.app}|${peer.version}|${peer.canonicalService}|${peer.canonicalRevision}|${peer.cluster}`);
    this.peers.set(peer, id);
    return id;
  }
}

const UNKNOWN = 'unknown';
const LATEST = 'latest';

/**
 * All 25 labels, always all present. Own values may be empty; what is not known of the peer is `unknown`, its revision `latest`.
 * @see https://github.com/istio/proxy/blob/master/source/extensions/filters/http/istio_stats/istio_stats.cc
 */
export function istioLabels(record: TrafficRecord, options: Omit<IstioMetricsOptions, 'registry'>): Labels {
  const inbound = record.direction === 'inbound';
  const local = ownValues(options.local);
  const peer = peerValues(record);
  const source = inbound ? peer : local;
  const destination = inbound ? local : peer;
  const peerPrincipal = record.peerPrincipal || UNKNOWN;
  const localPrincipal = record.localPrincipal || UNKNOWN;
  const service = destinationService(record, options);
  return {
    reporter: inbound ? (options.inboundReporter ?? 'destination') : 'source',
    source_workload: source.workload,
    source_canonical_service: source.canonicalService,
    source_canonical_revision: source.canonicalRevision,
    source_workload_namespace: source.namespace,
    source_principal: inbound ? peerPrincipal : localPrincipal,
    source_app: source.app,
    source_version: source.version,
    source_cluster: source.cluster,
    destination_workload: destination.workload,
    destination_workload_namespace: destination.namespace,
    destination_principal: inbound ? localPrincipal : peerPrincipal,
    destination_app: destination.app,
    destination_version: destination.version,
    destination_service: service,
    destination_canonical_service: destination.canonicalService,
    destination_canonical_revision: destination.canonicalRevision,
    destination_service_name: destinationServiceName(record, service),
    destination_service_namespace: destination.namespace,
    destination_cluster: destination.cluster,
    request_protocol: record.protocol === 'tcp' ? 'tcp' : record.grpc ? 'grpc' : 'http',
    response_code: String(record.responseCode),
    grpc_response_status: record.grpc && /^\d{1,2}$/.test(record.grpcStatus) ? record.grpcStatus : '',
    response_flags: record.responseFlags.length > 0 ? record.responseFlags.join(',') : '-',
    connection_security_policy: !inbound ? UNKNOWN : record.peerPrincipal && record.localPrincipal ? 'mutual_tls' : 'none',
  };
}

function ownValues(local: PeerMetadata): PeerMetadata {
  return { ...local, canonicalRevision: local.canonicalRevision || LATEST };
}

function peerValues(record: TrafficRecord): PeerMetadata {
  const { peer } = record;
  return {
    workload: peer?.workload || UNKNOWN,
    // The identity is proven, metadata is only claimed: the SPIFFE namespace goes first.
    namespace: /\/ns\/([^/]+)\//.exec(record.peerPrincipal)?.[1] ?? (peer?.namespace || UNKNOWN),
    app: peer?.app || UNKNOWN,
    version: peer?.version || UNKNOWN,
    canonicalService: peer?.canonicalService || UNKNOWN,
    canonicalRevision: peer?.canonicalRevision || LATEST,
    cluster: peer?.cluster || UNKNOWN,
  };
}

function destinationService(record: TrafficRecord, options: Omit<IstioMetricsOptions, 'registry'>): string {
  if (record.destinationService?.host) return record.destinationService.host;
  if (!options.disableHostHeaderFallback && record.protocol !== 'tcp' && record.authority) return record.authority;
  if (record.direction === 'inbound') return options.local.canonicalService || UNKNOWN;
  return UNKNOWN;
}

/** Clusters that stand for traffic without a service. */
const NAMED_CLUSTERS = new Set(['BlackHoleCluster', 'PassthroughCluster', 'InboundPassthroughCluster', 'InboundPassthroughClusterIpv4', 'InboundPassthroughClusterIpv6', 'InboundPassthroughCluster6']);

function destinationServiceName(record: TrafficRecord, service: string): string {
  if (record.routeName === 'block_all') return 'BlackHoleCluster';
  if (record.routeName === 'allow_any') return 'PassthroughCluster';
  if (NAMED_CLUSTERS.has(record.upstreamCluster)) return record.upstreamCluster;
  if (record.destinationService) return record.destinationService.name || record.destinationService.host.split('.')[0] || UNKNOWN;
  return service;
}
