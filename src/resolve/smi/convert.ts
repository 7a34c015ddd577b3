/** The Service Mesh Interface as Istio's own objects. */
import { stringify } from 'yaml';
import type { Issue } from '../../base/issue.ts';
import type { MeshSettings } from '../../model/mesh.ts';
import type { Service } from '../../model/service.ts';
import type { Workload } from '../../model/workload.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { referenceOf } from '../context.ts';
import { CONVERTED } from '../legacy/modern.ts';
import { convertTrafficSplit } from './traffic-split.ts';
import { convertTrafficTarget } from './traffic-target.ts';

export interface SmiInput {
  readonly ofKind: (groupKind: string) => readonly KubeObject[];
  readonly mesh: Pick<MeshSettings, 'domainSuffix' | 'trustDomain'>;
  readonly services: readonly Service[];
  readonly workloads: readonly Workload[];
  /** Problems, and what was made of every object, are added here. */
  readonly issues: Issue[];
}

export interface ConvertedSmi {
  readonly virtualServices: readonly KubeObject[];
  readonly authorizationPolicies: readonly KubeObject[];
}

/** Splits move traffic at the client, targets guard pods at the server; everything else they name is only read with them. */
export function convertSmi({ ofKind, mesh, services, workloads, issues }: SmiInput): ConvertedSmi {
  const tell = (from: KubeObject, made: readonly KubeObject[]) => {
    if (made.length === 0) return;
    const fix = made.map(({ apiVersion, kind, metadata: { name, namespace }, ...rest }) => stringify({ apiVersion, kind, metadata: { name, namespace }, ...rest }, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n');
    issues.push({ severity: 'info', code: CONVERTED, object: referenceOf(from), path: '', message: `${from.kind} of the Service Mesh Interface is read as ${made[0]!.kind}.`, fix });
  };
  const virtualServices = ofKind('split.smi-spec.io/TrafficSplit').flatMap((split) => {
    const made = convertTrafficSplit(split, { ofKind, services, domainSuffix: mesh.domainSuffix }, issues);
    tell(split, made ? [made] : []);
    return made ?? [];
  });
  const authorizationPolicies = ofKind('access.smi-spec.io/TrafficTarget').flatMap((target) => {
    const made = convertTrafficTarget(target, { ofKind, workloads, trustDomain: mesh.trustDomain }, issues);
    tell(target, made);
    return made;
  });
  return { virtualServices, authorizationPolicies };
}
