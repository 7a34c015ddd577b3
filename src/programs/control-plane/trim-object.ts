/** Keeps of an object only what the mesh is made of: less memory, and no push for changes that mean nothing to it. */
import type { KubeObject } from '../../objects/meta.ts';

interface Loose extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
  readonly type?: string;
}

/** Keys of Secrets that carry TLS material, in all spellings Istio takes. */
const TLS_KEYS = ['tls.crt', 'tls.key', 'ca.crt', 'cert', 'key', 'cacert', 'ca.crl'];

/** Keys of ConfigMaps that carry an authority, and those that change what is deployed for a Gateway. */
const CONFIG_KEYS = ['ca.crt', 'cacert', 'deployment', 'service', 'serviceAccount', 'horizontalPodAutoscaler', 'podDisruptionBudget'];

/** Their status is written by us: it is needed to know what it says, and a change of it means nothing. */
const hasOwnStatus = ({ apiVersion, kind }: KubeObject): boolean => apiVersion.startsWith('gateway.networking.') || kind === 'EnvoyFilter' || (kind === 'Ingress' && /^(networking\.k8s\.io|extensions)\//.test(apiVersion));

/** What is kept per kind; other kinds keep everything but their managed fields and status. */
const TRIMMERS: Readonly<Record<string, (object: Loose) => Partial<Loose>>> = {
  Pod: ({ spec = {}, status = {} }) => ({
    spec: { ...pick(spec, ['serviceAccountName', 'nodeName', 'hostname', 'subdomain', 'hostNetwork']), containers: portsOf(spec['containers']), initContainers: portsOf(spec['initContainers']) },
    status: { ...pick(status, ['phase', 'podIP', 'podIPs']), conditions: conditionsOf(status['conditions'], 'Ready') },
  }),
  // Probe times change with every report; whether it is well counts.
  WorkloadEntry: ({ spec = {}, status = {} }) => ({ spec, status: { conditions: conditionsOf(status['conditions'], 'Healthy') } }),
  // A node's heartbeat changes its status every few seconds; its labels say where it is.
  Node: () => ({}),
  Namespace: () => ({}),
  Secret: ({ data = {}, type }) => ({ ...(type !== undefined && { type }), data: pick(data, TLS_KEYS) as Record<string, string> }),
  ConfigMap: ({ data = {} }) => ({ data: pick(data, CONFIG_KEYS) as Record<string, string> }),
  Service: ({ spec = {}, status = {} }) => ({ spec, status: pick(status, ['loadBalancer']) }),
};

/** A smaller object with the same identity. */
export function trimObject<T extends KubeObject>(object: T): T {
  const { managedFields: _managed, generation, ...metadata } = object.metadata;
  const annotations = metadata.annotations && withoutLastApplied(metadata.annotations);
  const trim = Object.hasOwn(TRIMMERS, object.kind) ? TRIMMERS[object.kind] : undefined;
  const { status: _status, ...rest } = object as unknown as Loose;
  const ownStatus = hasOwnStatus(object);
  const body = ownStatus ? object : trim ? trim(object as unknown as Loose) : rest;
  const kept = { ...metadata, ...(annotations && { annotations }), ...(ownStatus && generation !== undefined && { generation }) };
  return { ...body, apiVersion: object.apiVersion, kind: object.kind, metadata: kept } as unknown as T;
}

/** True when two versions of an object mean the same to the mesh. */
export function meansTheSame(a: KubeObject, b: KubeObject): boolean {
  return fingerprint(a) === fingerprint(b);
}

function fingerprint(object: KubeObject): string {
  const { resourceVersion: _version, ...metadata } = object.metadata;
  return JSON.stringify({ ...object, metadata, ...(hasOwnStatus(object) && { status: undefined }) });
}

function pick(from: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(from, key)).map((key) => [key, from[key]]));
}

function portsOf(containers: unknown): unknown[] {
  return Array.isArray(containers) ? containers.map((container: Readonly<Record<string, unknown>>) => pick(container ?? {}, ['name', 'ports'])) : [];
}

function conditionsOf(conditions: unknown, type: string): unknown[] {
  const list = Array.isArray(conditions) ? (conditions as Readonly<Record<string, unknown>>[]) : [];
  return list.filter((condition) => condition?.['type'] === type).map((condition) => pick(condition, ['type', 'status']));
}

/** kubectl keeps the whole object a second time in this annotation. */
function withoutLastApplied(annotations: Readonly<Record<string, string>>): Record<string, string> {
  const { 'kubectl.kubernetes.io/last-applied-configuration': _lastApplied, ...rest } = annotations;
  return rest;
}
