import type { SpecObject } from '../meta.ts';
import { WORKLOAD_ENTRY } from '../resource-types.ts';
import { AGE } from '../schema/define-kind.ts';
import { map, obj, str, uint, type Infer } from '../schema/dsl.ts';
import type { IstioStatus } from './common.ts';
import { defineIstioKind, NETWORKING_VERSIONS } from './define-istio-kind.ts';

/** A workload outside Kubernetes, also the endpoints of a ServiceEntry. */
export const workloadEntrySpec = obj({
  /** IP, domain name or `unix:///path`; empty only with a network. */
  address: str({ maxLength: 256 }),
  /** Service port name → endpoint port. */
  ports: map(uint(), { maxProperties: 128 }),
  labels: map(str(), { maxProperties: 256 }),
  network: str({ maxLength: 2048 }),
  /** `region/zone/subzone`. */
  locality: str({ maxLength: 2048 }),
  weight: uint(),
  serviceAccount: str({ maxLength: 253 }),
});
/** @see https://istio.io/latest/docs/reference/config/networking/workload-entry/ */
export type WorkloadEntrySpec = Infer<typeof workloadEntrySpec>;
export type WorkloadEntry = SpecObject<WorkloadEntrySpec, IstioStatus>;

export const WORKLOAD_ENTRY_KIND = defineIstioKind(WORKLOAD_ENTRY, {
  ...NETWORKING_VERSIONS,
  shortNames: ['we'],
  spec: workloadEntrySpec,
  specRequired: true,
  columns: [AGE, { name: 'Address', type: 'string', jsonPath: '.spec.address', description: 'Address associated with the network endpoint.' }],
});
