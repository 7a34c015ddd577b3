/** `x workload entry configure`: the files with which a machine outside of Kubernetes joins the mesh. Pure: what to write, not where. */
import { isIPv4, isIPv6 } from 'node:net';
import { parse, stringify } from 'yaml';
import type { WorkloadGroup } from '../../objects/istio/workload-group.ts';

type Text = Readonly<Record<string, string>>;

export interface EntryFlags {
  readonly istioNamespace: string;
  readonly clusterId: string;
  /** Empty or `default` = none. */
  readonly revision: string;
  readonly internalIp: string;
  readonly externalIp: string;
  readonly autoRegister: boolean;
  readonly captureDns: boolean;
}

interface ProxyConfig {
  readonly [key: string]: unknown;
  readonly proxyMetadata?: Text;
  readonly discoveryAddress?: string;
  readonly statusPort?: number;
  readonly meshId?: string;
}

const PROXY_CONFIG = 'proxy.istio.io/config';
const CANONICAL_NAME = 'service.istio.io/canonical-name';
const CANONICAL_REVISION = 'service.istio.io/canonical-revision';
/** Where the agent answers health checks unless the proxy's configuration says otherwise. */
const DEFAULT_STATUS_PORT = 15_020;

export function isRevisioned(revision: string): boolean {
  return revision !== '' && revision !== 'default';
}

export function istiodHost(namespace: string, revision: string): string {
  return `istiod${isRevisioned(revision) ? `-${revision}` : ''}.${namespace}.svc`;
}

/** Absent parts are empty; the service account is `default`. */
export function readWorkloadGroup(text: string): WorkloadGroup {
  const object = parse(text) as Partial<WorkloadGroup> | null;
  if (object?.kind !== 'WorkloadGroup' || !object.metadata?.name) throw new Error('the file holds no WorkloadGroup with a name');
  const { spec } = object;
  return { ...object, spec: { ...spec, metadata: spec?.metadata ?? {}, template: { ...spec?.template, serviceAccount: spec?.template?.serviceAccount || 'default' } } } as WorkloadGroup;
}

/** `mesh.yaml` and `cluster.env` for a group, from the mesh's configuration (the text of the `istio` ConfigMap). */
export function entryFiles(group: WorkloadGroup, meshText: string, flags: EntryFlags): { readonly meshYaml: string; readonly clusterEnv: string } {
  const config = proxyConfigOf(group, meshText, flags);
  return { meshYaml: stringify({ defaultConfig: config }, { lineWidth: 0, sortMapEntries: true }), clusterEnv: clusterEnv(group, config, flags) };
}

function proxyConfigOf(group: WorkloadGroup, meshText: string, flags: EntryFlags): ProxyConfig {
  const mesh = (parse(meshText) ?? {}) as { readonly defaultConfig?: ProxyConfig; readonly trustDomain?: string };
  let config: ProxyConfig = mesh.defaultConfig ?? {};
  let metadata: Text = config.proxyMetadata ?? {};
  if (isRevisioned(flags.revision) && !config.discoveryAddress) config = { ...config, discoveryAddress: `${istiodHost(flags.istioNamespace, flags.revision)}:15012` };
  for (const annotations of [group.metadata.annotations, group.spec.metadata?.annotations]) {
    const own = annotations?.[PROXY_CONFIG] === undefined ? undefined : (parse(annotations[PROXY_CONFIG]) as ProxyConfig | null);
    if (!own) continue;
    config = { ...config, ...own };
    metadata = { ...metadata, ...own.proxyMetadata };
  }
  const { probe } = group.spec;
  const proxyMetadata = { ...metadata, ...ownMetadata(group, config, mesh.trustDomain ?? '', flags) };
  return { ...config, proxyMetadata: Object.fromEntries(Object.entries(proxyMetadata).map(([name, value]) => [name, String(value)])), ...(probe && { readinessProbe: probe }) };
}

function ownMetadata({ metadata, spec }: WorkloadGroup, config: ProxyConfig, trustDomain: string, flags: EntryFlags): Text {
  const template = spec.template;
  const labels: Text = { ...spec.metadata?.labels, ...template.labels };
  const service = labels[CANONICAL_NAME] ?? labels['app.kubernetes.io/name'] ?? labels['app'] ?? metadata.name;
  const revision = labels[CANONICAL_REVISION] ?? labels['app.kubernetes.io/version'] ?? labels['version'] ?? 'latest';
  const all = Object.entries({ ...labels, [CANONICAL_NAME]: service, [CANONICAL_REVISION]: revision }).sort(([a], [b]) => (a < b ? -1 : 1));
  const ports = Object.entries(template.ports ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, containerPort]) => ({ name, containerPort }));
  return {
    CANONICAL_SERVICE: service, CANONICAL_REVISION: revision, POD_NAMESPACE: metadata.namespace ?? '', SERVICE_ACCOUNT: template.serviceAccount ?? 'default', TRUST_DOMAIN: trustDomain,
    ISTIO_META_CLUSTER_ID: flags.clusterId, ISTIO_META_MESH_ID: config.meshId ?? '', ISTIO_META_NETWORK: template.network ?? '', ISTIO_META_WORKLOAD_NAME: metadata.name,
    ISTIO_METAJSON_LABELS: JSON.stringify(Object.fromEntries(all)),
    ...(ports.length > 0 && { ISTIO_META_POD_PORTS: JSON.stringify(ports) }),
    ...(flags.captureDns && { ISTIO_META_DNS_CAPTURE: 'true' }),
    ...(flags.autoRegister && { ISTIO_META_AUTO_REGISTER_GROUP: metadata.name }),
  };
}

/** Environment of the agent: the proxy's metadata, and what iptables and the certificates need. Never captured: ssh, and the agent's own ports. */
function clusterEnv({ metadata, spec }: WorkloadGroup, config: ProxyConfig, flags: EntryFlags): string {
  const ports = Object.values(spec.template.ports ?? {});
  const { statusPort = 0 } = config;
  const excluded = ['22', '15090', '15021', ...(statusPort === 15_090 || statusPort === 15_021 ? [] : [String(statusPort || DEFAULT_STATUS_PORT)])];
  const namespace = metadata.namespace ?? '';
  const all: Text = {
    ...config.proxyMetadata,
    ISTIO_INBOUND_PORTS: ports.length > 0 ? ports.join(',') : '*', ISTIO_NAMESPACE: namespace, ISTIO_SERVICE: `${metadata.name}.${namespace}`, ISTIO_SERVICE_CIDR: '*',
    ISTIO_LOCAL_EXCLUDE_PORTS: excluded.join(','), SERVICE_ACCOUNT: spec.template.serviceAccount ?? 'default',
    ...(isRevisioned(flags.revision) && { CA_ADDR: `${istiodHost(flags.istioNamespace, flags.revision)}:15012` }),
    ...(flags.internalIp ? { ISTIO_SVC_IP: flags.internalIp } : flags.externalIp ? { ISTIO_SVC_IP: flags.externalIp, REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION: 'true' } : {}),
  };
  return `${Object.entries(all).map(([name, value]) => `${name}=${quoted(value)}`).sort().join('\n')}\n`;
}

/** The line of `/etc/hosts` through which istiod is reached; empty without an address. */
export function hostsFile(ingressIp: string, istioNamespace: string, revision: string): string {
  return isIPv4(ingressIp) || isIPv6(ingressIp) ? `${ingressIp} ${istiodHost(istioNamespace, revision)}\n` : '';
}

/** For a shell: nothing inside is expanded. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`;
}

