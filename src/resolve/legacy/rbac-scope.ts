/** Where legacy access control is on. */
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { Cursor } from '../cursor.ts';
import { notConverted } from './modern.ts';
import { namesService, type PolicyService } from './services.ts';

export interface RbacScope {
  readonly mode: 'OFF' | 'ON' | 'ON_WITH_INCLUSION' | 'ON_WITH_EXCLUSION';
  /** Decisions are only logged. */
  readonly dryRun: boolean;
  /** Namespaces that are closed as a whole. */
  readonly namespaces: readonly string[];
  /** Is this service governed? */
  readonly services: (service: PolicyService) => boolean;
}

export interface ScopeInput {
  readonly namespaces: readonly string[];
  readonly rootNamespace: string;
}

const MODES = ['OFF', 'ON', 'ON_WITH_INCLUSION', 'ON_WITH_EXCLUSION'] as const;
/** The system's own are never closed: a cluster would lose its DNS. */
const SYSTEM_NAMESPACES = ['kube-system', 'kube-public', 'kube-node-lease'];

/** Reads a ClusterRbacConfig or RbacConfig; without a mode it is OFF, as it was. The root namespace with the gateways and the control plane stays open. */
export function rbacScope(config: KubeObject, { namespaces, rootNamespace }: ScopeInput, issues: Issue[]): RbacScope {
  const spec = new Cursor((config as { readonly spec?: unknown }).spec ?? {}, 'spec', (path, message) => issues.push(notConverted(config, path, `${path}: ${message}.`)));
  const mode = spec.at('mode').oneOf(MODES) ?? (spec.at('mode').exists ? 'ON' : 'OFF');
  const listOf = (name: string) => ({ namespaces: spec.at(name).at('namespaces').strings(), services: spec.at(name).at('services').strings() });
  const [inclusion, exclusion] = [listOf('inclusion'), listOf('exclusion')];
  const named = (list: readonly string[], service: PolicyService) => list.some((pattern) => namesService(pattern, service) && (pattern.includes('.') || pattern === '*'));
  const candidates = namespaces.filter((namespace) => namespace !== rootNamespace && !SYSTEM_NAMESPACES.includes(namespace));
  const base = { mode, dryRun: spec.at('enforcementMode').string() === 'PERMISSIVE' };
  const inNamespace = (service: PolicyService, list: readonly string[]) => list.includes(service.namespace);
  switch (mode) {
    case 'OFF': return { ...base, namespaces: [], services: () => false };
    case 'ON': return { ...base, namespaces: candidates, services: (service) => inNamespace(service, candidates) };
    case 'ON_WITH_INCLUSION': {
      const whole = candidates.filter((namespace) => inclusion.namespaces.includes(namespace));
      return { ...base, namespaces: whole, services: (service) => inNamespace(service, whole) || named(inclusion.services, service) };
    }
    case 'ON_WITH_EXCLUSION': {
      const whole = candidates.filter((namespace) => !exclusion.namespaces.includes(namespace));
      return { ...base, namespaces: whole, services: (service) => inNamespace(service, whole) && !named(exclusion.services, service) };
    }
  }
}
