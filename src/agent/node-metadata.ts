// Who this proxy is: node id, cluster and metadata from the environment, the downward API's files and ProxyConfig. Pure.
import type { AgentProxyConfig } from './proxy-config.ts';

/** xDS node of the proxy. Metadata keys are Istio's. @see https://istio.io/latest/docs/reference/commands/pilot-agent/ (ISTIO_META_) */
export interface ProxyIdentity {
  readonly id: string;
  readonly cluster: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
}

/** What the metadata are made of. */
export interface NodeInput {
  readonly id: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From /etc/istio/pod/labels; empty outside Kubernetes. */
  readonly podLabels: Readonly<Record<string, string>>;
  readonly podAnnotations: Readonly<Record<string, string>>;
  /** Addresses of this machine, the pod's own first; repeated ones are dropped. */
  readonly instanceIps: readonly string[];
  readonly proxyConfig: AgentProxyConfig;
  /** Further keys of the agent itself (`ENVOY_STATUS_PORT`, `PILOT_SAN`). Undefined values are left out. */
  readonly agent: Readonly<Record<string, unknown>>;
}

const META = 'ISTIO_META_';
const META_JSON = 'ISTIO_METAJSON_';

/** Builds the identity. Environment names win over nothing, files win over environment labels, the agent's own keys win over all. */
export function buildProxyIdentity(input: NodeInput): ProxyIdentity {
  const metadata: Record<string, unknown> = {};
  const staticLabels: Record<string, string> = {};
  // ProxyConfig's environment is the weaker one; a sidecar has it in both places.
  const configured = (input.proxyConfig.raw['proxyMetadata'] as Readonly<Record<string, unknown>> | undefined) ?? {};
  for (const [name, value] of Object.entries(configured)) if (name.startsWith(META)) metadata[name.slice(META.length)] = metaValue(name.slice(META.length), String(value));
  for (const [name, value] of Object.entries(input.env)) {
    if (value === undefined) continue;
    if (name.startsWith(META_JSON)) {
      const map = stringMap(value);
      for (const [key, entry] of Object.entries(map)) metadata[key] = entry;
      if (name === `${META_JSON}LABELS`) Object.assign(staticLabels, map);
    } else if (name.startsWith(META)) metadata[name.slice(META.length)] = metaValue(name.slice(META.length), value);
  }
  const { 'pod-template-hash': _hash, ...podLabels } = input.podLabels;
  const labels: Record<string, string> = { ...staticLabels, ...podLabels };
  const locality = localityOf(labels['istio-locality']);
  if (locality.text !== '') labels['istio-locality'] = locality.text;
  const annotations = input.podAnnotations;
  for (const [key, value] of Object.entries(annotations)) metadata[key] ??= value;
  Object.assign(metadata, defined({
    NAME: input.env['POD_NAME'], NAMESPACE: input.env['POD_NAMESPACE'], SERVICE_ACCOUNT: input.env['SERVICE_ACCOUNT'],
    LABELS: nonEmpty(labels), STATIC_LABELS: nonEmpty(locality.text === '' ? staticLabels : withLocality(staticLabels, locality.text)), ANNOTATIONS: nonEmpty(annotations),
    INSTANCE_IPS: [...new Set(input.instanceIps)].join(',') || undefined,
    PROXY_CONFIG: input.proxyConfig.raw,
    ...input.agent,
  }));
  return { id: input.id, cluster: serviceCluster(input.proxyConfig, metadata, labels), metadata, locality: { region: locality.region, zone: locality.zone, subZone: locality.subZone } };
}

function withLocality(labels: Record<string, string>, text: string): Record<string, string> {
  return labels['istio-locality'] === undefined ? labels : { ...labels, 'istio-locality': text };
}

/** Names whose values are JSON although they come as text. */
function metaValue(name: string, value: string): unknown {
  if (name !== 'POD_PORTS') return value;
  try {
    // The control plane reads the ports as text that holds JSON, whatever blanks the template put in.
    return JSON.stringify(JSON.parse(value));
  } catch {
    return value;
  }
}

function defined(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== ''));
}

function nonEmpty(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> | undefined {
  return Object.keys(map).length > 0 ? map : undefined;
}

function stringMap(text: string): Record<string, string> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, String(entry)]));
  } catch {
    return {};
  }
}

/** `region.zone.subzone` (a label cannot hold `/`), or already with slashes. */
function localityOf(label: string | undefined): { readonly text: string; readonly region: string; readonly zone: string; readonly subZone: string } {
  const text = label === undefined ? '' : label.includes('/') ? label : label.replaceAll('.', '/');
  const [region = '', zone = '', subZone = ''] = text.split('/');
  return { text, region, zone, subZone };
}

/** `node.cluster`: the service name in traces. */
function serviceCluster(config: AgentProxyConfig, metadata: Readonly<Record<string, unknown>>, labels: Readonly<Record<string, string>>): string {
  const namespace = typeof metadata['NAMESPACE'] === 'string' ? metadata['NAMESPACE'] : '';
  const workload = typeof metadata['WORKLOAD_NAME'] === 'string' ? metadata['WORKLOAD_NAME'] : '';
  const canonical = labels['service.istio.io/canonical-name'] || labels['app.kubernetes.io/name'] || labels['app'] || workload || 'istio-proxy';
  if (config.tracingServiceName === 'CANONICAL_NAME_AND_NAMESPACE' && namespace !== '') return `${canonical}.${namespace}`;
  const asked = config.tracingServiceName.startsWith('CANONICAL_NAME') ? canonical : config.tracingServiceName === '' ? config.serviceCluster : '';
  if (asked !== '' && asked !== 'istio-proxy') return asked;
  const name = labels['app'] || workload || 'istio-proxy';
  return namespace === '' ? (labels['app'] ? `${name}.default` : name) : `${name}.${namespace}`;
}
