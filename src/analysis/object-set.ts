/** The objects an analysis looks at, found by kind, and the questions analyzers ask of them. */
import type { MeshConfig, MeshNetworks } from '../objects/istio/mesh-config.ts';
import type { Gateway } from '../objects/istio/gateway.ts';
import type { ServiceEntry } from '../objects/istio/service-entry.ts';
import type { Namespace } from '../objects/kubernetes/namespace.ts';
import type { Service } from '../objects/kubernetes/service.ts';
import type { Pod } from '../objects/kubernetes/pod.ts';
import type { KubeObject } from '../objects/meta.ts';
import { findKind, KINDS } from '../objects/registry.ts';
import type { FieldError } from '../objects/schema/field-error.ts';
import { respell } from '../objects/schema/spelling.ts';
import { validateSchema } from '../objects/schema/validate.ts';

export interface AnalysisOptions {
  /** Root namespace of the mesh. Default `istio-system`. */
  readonly istioNamespace?: string;
  /** DNS suffix of services. Default `cluster.local`. */
  readonly domain?: string;
  /** Namespaces that are never analyzed. Default Kubernetes' own. */
  readonly ignoredNamespaces?: readonly string[];
  /** Settings of the mesh; default: none of its own. */
  readonly meshConfig?: MeshConfig;
  /** Networks of the mesh; default: none. */
  readonly meshNetworks?: MeshNetworks;
  /** Objects per cluster, where a mesh has several; analyzers that compare clusters look at nothing else. */
  readonly clusters?: ReadonlyMap<string, readonly KubeObject[]>;
}

/** What a destination host stands for. */
export interface KnownHost {
  readonly ports: readonly number[];
  /** Labels of the pods a ServiceEntry selects; empty for services, whose subsets Istio compares with all pods. */
  readonly workloadLabels: Readonly<Record<string, string>>;
}

const IGNORED = ['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage'];

export class ObjectSet {
  readonly istioNamespace: string;
  readonly domain: string;
  readonly meshConfig: MeshConfig;
  readonly meshNetworks: MeshNetworks;
  /** One set per cluster; empty for a mesh of one. */
  readonly clusters: ReadonlyMap<string, ObjectSet>;
  /** Objects that have not the shape of their kind, with the first field that has not: only the schema's analyzers look at them. */
  readonly malformed: readonly { readonly object: KubeObject; readonly error: FieldError }[];
  private readonly kinds = new Map<string, KubeObject[]>();
  private readonly ignored: ReadonlySet<string>;

  constructor(objects: readonly KubeObject[], options: AnalysisOptions = {}) {
    this.istioNamespace = options.istioNamespace ?? 'istio-system';
    this.domain = options.domain ?? 'cluster.local';
    this.meshConfig = options.meshConfig ?? {};
    this.meshNetworks = options.meshNetworks ?? {};
    this.clusters = new Map([...(options.clusters ?? [])].map(([name, own]) => [name, new ObjectSet(own)]));
    this.ignored = new Set(options.ignoredNamespaces ?? IGNORED);
    const malformed: { object: KubeObject; error: FieldError }[] = [];
    this.malformed = malformed;
    for (const written of objects) {
      if (isForeign(written)) continue;
      const { object, error } = shaped(written);
      if (error) {
        malformed.push({ object, error });
        continue;
      }
      const list = this.kinds.get(object.kind) ?? [];
      this.kinds.set(object.kind, list);
      list.push(whole(object));
    }
  }

  /** Objects of a kind. `group` tells kinds of the same name apart (Istio's and Kubernetes' Gateway). */
  of<T extends KubeObject>(kind: string, group?: string): readonly T[] {
    const all = (this.kinds.get(kind) ?? []) as unknown as readonly T[];
    return group === undefined ? all : all.filter((object) => object.apiVersion.startsWith(`${group}/`));
  }

  /** Every object, by kind. */
  all(): readonly KubeObject[] {
    return [...this.kinds.values()].flat();
  }

  isIgnored(namespace: string | undefined): boolean {
    return namespace !== undefined && this.ignored.has(namespace);
  }

  /** Namespace whose policies and telemetry hold for the whole mesh. */
  get rootNamespace(): string {
    return this.meshConfig.rootNamespace ?? this.istioNamespace;
  }

  /** Objects of a kind, and of a namespace when one is named, by their full name. */
  has(kind: string, namespace: string, name: string): boolean {
    return this.of(kind).some((object) => object.metadata.name === name && (object.metadata.namespace ?? '') === namespace);
  }

  /** Files without pods say nothing about what runs: analyzers that look for pods then stay silent. */
  get knowsPods(): boolean {
    return this.of<Pod>('Pod').length > 0;
  }

  namespace(name: string): Namespace | undefined {
    return this.of<Namespace>('Namespace').find((namespace) => namespace.metadata.name === name);
  }

  gateway(reference: string, fromNamespace: string): Gateway | undefined {
    const [namespace, name] = reference.includes('/') ? (reference.split('/', 2) as [string, string]) : [fromNamespace, reference];
    return this.of<Gateway>('Gateway', 'networking.istio.io').find((gateway) => gateway.metadata.name === name && (gateway.metadata.namespace ?? '') === namespace);
  }

  /** Fully qualified form of a host as a rule in `namespace` means it. */
  qualify(host: string | undefined, namespace: string): string {
    if (host === undefined) return '';
    return host.includes('.') || host.includes('*') ? host : `${host}.${namespace || 'default'}.svc.${this.domain}`;
  }

  /** What a destination host stands for, as far as `fromNamespace` may see it. */
  findHost(host: string | undefined, namespace: string, fromNamespace: string): KnownHost | undefined {
    const full = this.qualify(host, namespace);
    for (const service of this.of<Service>('Service')) {
      if (`${service.metadata.name}.${service.metadata.namespace ?? 'default'}.svc.${this.domain}` !== full) continue;
      if (visible(exportsOf(service), service.metadata.namespace ?? 'default', fromNamespace)) return { ports: (service.spec.ports ?? []).map(({ port }) => port), workloadLabels: {} };
    }
    for (const entry of this.of<ServiceEntry>('ServiceEntry')) {
      if (!visible(entry.spec.exportTo, entry.metadata.namespace ?? 'default', fromNamespace)) continue;
      if ((entry.spec.hosts ?? []).some((pattern) => hostMatches(pattern, full))) return { ports: (entry.spec.ports ?? []).map(({ number }) => number ?? 0), workloadLabels: entry.spec.workloadSelector?.labels ?? {} };
    }
    return undefined;
  }

  /** Some service or entry lies under a wildcard host. */
  hasHostUnder(wildcard: string): boolean {
    const services = this.of<Service>('Service').map(({ metadata }) => `${metadata.name}.${metadata.namespace ?? 'default'}.svc.${this.domain}`);
    const entries = this.of<ServiceEntry>('ServiceEntry').flatMap(({ spec }) => spec.hosts ?? []);
    return [...services, ...entries].some((host) => hostMatches(wildcard, host));
  }
}

/** A kind of somebody else that only shares the name with one of ours (Knative's Service). */
function isForeign({ apiVersion, kind }: KubeObject): boolean {
  return KNOWN_KINDS.has(kind) && findKind(groupOf(apiVersion), kind) === undefined;
}

function groupOf(apiVersion: unknown): string {
  return typeof apiVersion === 'string' && apiVersion.includes('/') ? apiVersion.split('/')[0]! : '';
}

/** The object in the API's spelling, and the first field whose value is of another type than its kind has there. */
function shaped(written: KubeObject): { readonly object: KubeObject; readonly error?: FieldError } {
  const info = findKind(groupOf(written.apiVersion), written.kind);
  if (!info) return { object: written };
  const object = respell(info.schema, written);
  const error = validateSchema(info.schema, object).find(({ reason, path }) => reason === 'FieldValueTypeInvalid' && !path.startsWith('metadata'));
  return error ? { object, error } : { object };
}

const KNOWN_KINDS: ReadonlySet<string> = new Set(KINDS.map(({ kind }) => kind));
const KINDS_WITHOUT_SPEC = ['ConfigMap', 'Secret'];

/** Analyzers may rely on a spec, on the containers of pods and on the names of webhooks, which files may leave out. */
function whole(written: KubeObject): KubeObject {
  const object = withoutNulls(written) as KubeObject & { readonly spec?: Readonly<Record<string, unknown>>; readonly webhooks?: readonly object[] };
  if (object.kind.endsWith('WebhookConfiguration')) return { ...object, webhooks: (object.webhooks ?? []).map((hook) => ({ name: '', ...hook })) } as KubeObject;
  if (KINDS_WITHOUT_SPEC.includes(object.kind)) return object;
  const { spec = {} } = object;
  if (object.kind === 'Pod') return { ...object, spec: { containers: [], ...spec } } as KubeObject;
  if (object.kind !== 'Deployment') return { ...object, spec } as KubeObject;
  const template = (spec['template'] ?? {}) as { readonly spec?: object };
  return { ...object, spec: { ...spec, template: { ...template, spec: { containers: [], ...template.spec } } } } as KubeObject;
}

/** Null means absent, in YAML as for the API server. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== null).map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value ?? undefined;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null).map(([key, member]) => [key, withoutNulls(member)]));
}

function exportsOf(service: Service): readonly string[] | undefined {
  return service.metadata.annotations?.['networking.istio.io/exportTo']?.split(',').map((part) => part.trim());
}

function visible(exportTo: readonly string[] | undefined, owner: string, from: string): boolean {
  if (!exportTo || exportTo.length === 0 || exportTo.includes('*')) return true;
  return exportTo.some((target) => (target === '.' ? owner === from : target === from));
}

/** True when `pattern` (exact, `*` or `*.suffix`) covers `host`; a wildcard host is covered by an equal or wider wildcard. */
export function hostMatches(pattern: string, host: string): boolean {
  const [wide, narrow] = [pattern.toLowerCase(), host.toLowerCase()];
  if (wide === narrow || wide === '*') return true;
  return wide.startsWith('*') && narrow.replace(/^\*/, '').endsWith(wide.slice(1)) && narrow.length > wide.length - 1;
}
