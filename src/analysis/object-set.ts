/** The objects an analysis looks at, found by kind, and the questions analyzers ask of them. */
import type { Gateway } from '../objects/istio/gateway.ts';
import type { ServiceEntry } from '../objects/istio/service-entry.ts';
import type { Namespace } from '../objects/kubernetes/namespace.ts';
import type { Service } from '../objects/kubernetes/service.ts';
import type { KubeObject } from '../objects/meta.ts';

export interface AnalysisOptions {
  /** Root namespace of the mesh. Default `istio-system`. */
  readonly istioNamespace?: string;
  /** DNS suffix of services. Default `cluster.local`. */
  readonly domain?: string;
  /** Namespaces that are never analyzed. Default Kubernetes' own. */
  readonly ignoredNamespaces?: readonly string[];
}

const IGNORED = ['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage'];

export class ObjectSet {
  readonly istioNamespace: string;
  readonly domain: string;
  private readonly kinds = new Map<string, KubeObject[]>();
  private readonly ignored: ReadonlySet<string>;

  constructor(objects: readonly KubeObject[], options: AnalysisOptions = {}) {
    this.istioNamespace = options.istioNamespace ?? 'istio-system';
    this.domain = options.domain ?? 'cluster.local';
    this.ignored = new Set(options.ignoredNamespaces ?? IGNORED);
    for (const object of objects) {
      const list = this.kinds.get(object.kind) ?? [];
      this.kinds.set(object.kind, list);
      list.push(object);
    }
  }

  /** Objects of a kind. `group` tells kinds of the same name apart (Istio's and Kubernetes' Gateway). */
  of<T extends KubeObject>(kind: string, group?: string): readonly T[] {
    const all = (this.kinds.get(kind) ?? []) as unknown as readonly T[];
    return group === undefined ? all : all.filter((object) => object.apiVersion.startsWith(`${group}/`));
  }

  isIgnored(namespace: string | undefined): boolean {
    return namespace !== undefined && this.ignored.has(namespace);
  }

  namespace(name: string): Namespace | undefined {
    return this.of<Namespace>('Namespace').find((namespace) => namespace.metadata.name === name);
  }

  gateway(reference: string, fromNamespace: string): Gateway | undefined {
    const [namespace, name] = reference.includes('/') ? (reference.split('/', 2) as [string, string]) : [fromNamespace, reference];
    return this.of<Gateway>('Gateway', 'networking.istio.io').find((gateway) => gateway.metadata.name === name && (gateway.metadata.namespace ?? '') === namespace);
  }

  /** Fully qualified form of a host as a rule in `namespace` means it. */
  qualify(host: string, namespace: string): string {
    return host.includes('.') || host.includes('*') ? host : `${host}.${namespace || 'default'}.svc.${this.domain}`;
  }

  /** What a destination host stands for, as far as `fromNamespace` may see it. */
  findHost(host: string, namespace: string, fromNamespace: string): { readonly ports: readonly number[] } | undefined {
    const full = this.qualify(host, namespace);
    for (const service of this.of<Service>('Service')) {
      if (`${service.metadata.name}.${service.metadata.namespace ?? 'default'}.svc.${this.domain}` !== full) continue;
      if (visible(exportsOf(service), service.metadata.namespace ?? 'default', fromNamespace)) return { ports: (service.spec.ports ?? []).map(({ port }) => port) };
    }
    for (const entry of this.of<ServiceEntry>('ServiceEntry')) {
      if (!visible(entry.spec.exportTo, entry.metadata.namespace ?? 'default', fromNamespace)) continue;
      if ((entry.spec.hosts ?? []).some((pattern) => hostMatches(pattern, full))) return { ports: (entry.spec.ports ?? []).map(({ number }) => number ?? 0) };
    }
    return undefined;
  }
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
