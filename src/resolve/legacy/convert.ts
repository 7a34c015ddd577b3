/** Security objects of Istio's past → those of today. */
import type { Issue } from '../../base/issue.ts';
import type { MeshSettings } from '../../model/mesh.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf } from '../context.ts';
import { convertAuthenticationPolicy } from './authentication.ts';
import type { ModernKind, ModernObject } from './modern.ts';
import { convertRbac } from './rbac.ts';
import { policyServices } from './services.ts';

export interface LegacyInput {
  readonly ofKind: (groupKind: string) => readonly KubeObject[];
  readonly mesh: Pick<MeshSettings, 'domainSuffix' | 'rootNamespace'>;
  /** Problems, and what was made of every object, are added here. */
  readonly issues: Issue[];
}

const LEGACY = ['authentication.istio.io/MeshPolicy', 'authentication.istio.io/Policy', 'rbac.istio.io/ServiceRole', 'rbac.istio.io/ServiceRoleBinding', 'rbac.istio.io/ClusterRbacConfig', 'rbac.istio.io/RbacConfig'];

/** Is the object of a kind that Istio gave up? */
export function isLegacy({ apiVersion, kind }: KubeObject): boolean {
  return LEGACY.includes(`${apiVersion.split('/')[0]}/${kind}`);
}

/** The modern objects by their kind. */
export function convertLegacy({ ofKind, mesh, issues }: LegacyInput): ReadonlyMap<ModernKind, readonly ModernObject[]> {
  if (LEGACY.every((kind) => ofKind(kind).length === 0)) return new Map();
  const services = policyServices(ofKind('/Service'), mesh.domainSuffix);
  const namespaces = [...new Set([...ofKind('/Namespace').map(({ metadata }) => metadata.name), ...ofKind('/Service').map(namespaceOf)])];
  const { rootNamespace } = mesh;
  const policies = [...ofKind('authentication.istio.io/MeshPolicy'), ...ofKind('authentication.istio.io/Policy')];
  const objects = [...policies.flatMap((policy) => convertAuthenticationPolicy(policy, { services, rootNamespace }, issues)), ...convertRbac({ ofKind, services, namespaces, rootNamespace }, issues)];
  const byKind = new Map<ModernKind, ModernObject[]>();
  for (const object of objects) byKind.set(object.kind as ModernKind, [...(byKind.get(object.kind as ModernKind) ?? []), object]);
  return byKind;
}
