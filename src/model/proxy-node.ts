import { readProxyHeaders, type ProxyHeaders } from './proxy-headers.ts';
import { NO_LOCALITY, type Locality } from './endpoint.ts';

/** The parts of an xDS Node we read; metadata as plain JSON. */
export interface NodeInput {
  readonly id: string;
  readonly cluster?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly locality?: { readonly region?: string; readonly zone?: string; readonly subZone?: string };
  readonly extensions?: readonly string[];
  /** Full names of the messages that configure its extensions. */
  readonly extensionTypes?: readonly string[];
  readonly userAgentName?: string;
}

/** A proxy as it introduced itself. */
export interface ProxyNode {
  readonly kind: 'proxy-node';
  readonly id: string;
  readonly type: 'sidecar' | 'router';
  readonly ipAddresses: readonly string[];
  /** Pod name. */
  readonly name: string;
  readonly namespace: string;
  /** `default.svc.cluster.local`. */
  readonly dnsDomain: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly interceptionMode: 'REDIRECT' | 'TPROXY' | 'NONE';
  readonly clusterId: string;
  readonly network: string;
  readonly locality: Locality;
  /** The proxy knows istio.alpn, istio.stats and the metadata exchange: ours, Istio's build of Envoy, or one that does not say. */
  readonly istioFilters: boolean;
  /** Full names of the messages its extensions take; empty = it does not say. */
  readonly extensionTypes: readonly string[];
  readonly dnsCapture: boolean;
  readonly dnsAutoAllocate: boolean;
  readonly headers: ProxyHeaders;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * Reads `<type>~<ip>~<pod>.<namespace>~<dns domain>` and the metadata Istio's agent sends. Returns undefined when the id does not have that form.
 * @see features.md §3.2 (Node ID)
 */
export function parseProxyNode(node: NodeInput): ProxyNode | undefined {
  const [type, ip, podAndNamespace, dnsDomain] = node.id.split('~');
  if ((type !== 'sidecar' && type !== 'router') || !ip || !podAndNamespace || dnsDomain === undefined) return undefined;
  const metadata = node.metadata ?? {};
  const text = (key: string): string => (Object.hasOwn(metadata, key) && typeof metadata[key] === 'string' ? metadata[key] : '');
  const dot = podAndNamespace.lastIndexOf('.');
  const instanceIps = text('INSTANCE_IPS').split(',').filter(Boolean);
  const extensions = node.extensions ?? [];
  const mode = text('INTERCEPTION_MODE');
  return {
    kind: 'proxy-node', id: node.id, type,
    ipAddresses: [ip, ...instanceIps.filter((other) => other !== ip)],
    name: text('NAME') || (dot < 0 ? podAndNamespace : podAndNamespace.slice(0, dot)),
    namespace: text('NAMESPACE') || (dot < 0 ? '' : podAndNamespace.slice(dot + 1)),
    dnsDomain, labels: stringRecord(metadata['LABELS']), serviceAccount: text('SERVICE_ACCOUNT'),
    interceptionMode: mode === 'TPROXY' || mode === 'NONE' ? mode : 'REDIRECT',
    clusterId: text('CLUSTER_ID') || 'Kubernetes', network: text('NETWORK'),
    locality: { ...NO_LOCALITY, ...(node.locality?.region && { region: node.locality.region }), ...(node.locality?.zone && { zone: node.locality.zone }), ...(node.locality?.subZone && { subZone: node.locality.subZone }) },
    istioFilters: node.userAgentName === 'meltemi' || extensions.length === 0 || extensions.includes('istio.alpn'),
    extensionTypes: node.extensionTypes ?? [],
    dnsCapture: isTrue(metadata['DNS_CAPTURE']), dnsAutoAllocate: isTrue(metadata['DNS_AUTO_ALLOCATE']),
    headers: readProxyHeaders(metadata['PROXY_CONFIG'], isTrue(metadata['HTTP10'])),
    metadata,
  };
}

function isTrue(value: unknown): boolean {
  return value === true || value === 'true' || value === '1';
}

function stringRecord(value: unknown): Readonly<Record<string, string>> {
  const record: Record<string, string> = Object.create(null) as Record<string, string>;
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    for (const [key, entry] of Object.entries(value)) if (typeof entry === 'string') record[key] = entry;
  return record;
}
