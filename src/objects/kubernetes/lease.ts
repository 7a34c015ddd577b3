import type { SpecObject } from '../meta.ts';
import { LEASE } from '../resource-types.ts';
import { AGE, defineKind } from '../schema/define-kind.ts';
import { int, obj, str, time, type Infer } from '../schema/dsl.ts';

const spec = obj({
  holderIdentity: str(),
  leaseDurationSeconds: int(),
  acquireTime: time(),
  renewTime: time(),
  leaseTransitions: int(),
  strategy: str(),
  preferredHolder: str(),
});

/** A lock or heartbeat. @see https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/ */
export type Lease = SpecObject<Infer<typeof spec>>;
export const LEASE_KIND = defineKind(LEASE, { columns: [{ name: 'Holder', type: 'string', jsonPath: '.spec.holderIdentity' }, AGE], fields: { spec } });
