/** What Istio's kinds have in common as custom resources. */
import type { KindInfo, PrinterColumn, ResourceType } from '../kind.ts';
import { defineKind } from '../schema/define-kind.ts';
import type { Schema } from '../schema/schema.ts';
import { istioStatus } from './common.ts';

export interface IstioKindFacts {
  readonly spec: Schema;
  readonly versions: readonly string[];
  readonly storageVersion: string;
  /** Second category beside `istio-io`. */
  readonly category: string;
  readonly shortNames?: readonly string[];
  readonly columns?: readonly PrinterColumn[];
  /** The CRD requires `spec`. */
  readonly specRequired?: boolean;
}

export function defineIstioKind(type: ResourceType, facts: IstioKindFacts): KindInfo {
  const { spec, versions, storageVersion, category, shortNames = [], columns = [], specRequired } = facts;
  return defineKind(type, {
    custom: true,
    status: true,
    versions,
    storageVersion,
    categories: ['istio-io', category],
    shortNames,
    columns,
    fields: { spec, status: { ...istioStatus, 'x-kubernetes-preserve-unknown-fields': true } },
    ...(specRequired ? { required: ['spec'] } : {}),
  });
}

/** Versions of most networking kinds; v1 is stored. */
export const NETWORKING_VERSIONS = { versions: ['v1', 'v1beta1', 'v1alpha3'], storageVersion: 'v1', category: 'networking-istio-io' } as const;
/** Versions of the security kinds; v1 is stored. */
export const SECURITY_VERSIONS = { versions: ['v1', 'v1beta1'], storageVersion: 'v1', category: 'security-istio-io' } as const;
