import type { SpecObject } from '../meta.ts';
import { SERVICE_ENTRY } from '../resource-types.ts';
import { AGE } from '../schema/define-kind.ts';
import { list, obj, oneOf, req, str, uint, type Infer } from '../schema/dsl.ts';
import { exportTo, networkingSelector, type IstioStatus } from './common.ts';
import { defineIstioKind, NETWORKING_VERSIONS } from './define-istio-kind.ts';
import { workloadEntrySpec } from './workload-entry.ts';

const servicePort = obj({ number: req(uint()), protocol: str({ maxLength: 256 }), name: req(str({ maxLength: 256 })), targetPort: uint() });
/** A port of a ServiceEntry. */
export type ServiceEntryPort = Infer<typeof servicePort>;

const spec = obj({
  hosts: req(list(str(), {}, { minItems: 1, maxItems: 256 })),
  addresses: list(str({ maxLength: 64 }), {}, { maxItems: 256 }),
  ports: list(servicePort, { mapKeys: ['name'] }, { maxItems: 256 }),
  /** Default MESH_EXTERNAL. */
  location: oneOf('MESH_EXTERNAL', 'MESH_INTERNAL'),
  /** Default NONE. */
  resolution: oneOf('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'),
  endpoints: list(workloadEntrySpec, {}, { maxItems: 4096 }),
  workloadSelector: networkingSelector,
  exportTo,
  subjectAltNames: list(str()),
});
/** @see https://istio.io/latest/docs/reference/config/networking/service-entry/ */
export type ServiceEntrySpec = Infer<typeof spec>;

/** Status with automatically allocated addresses. */
export interface ServiceEntryStatus extends IstioStatus {
  readonly addresses?: readonly { readonly value: string; readonly host?: string }[];
}
export type ServiceEntry = SpecObject<ServiceEntrySpec, ServiceEntryStatus>;

export const SERVICE_ENTRY_KIND = defineIstioKind(SERVICE_ENTRY, {
  ...NETWORKING_VERSIONS,
  shortNames: ['se'],
  spec,
  specRequired: true,
  columns: [
    { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts', description: 'The hosts associated with the ServiceEntry' },
    { name: 'Location', type: 'string', jsonPath: '.spec.location', description: 'Whether the service is external to the mesh or part of the mesh (MESH_EXTERNAL or MESH_INTERNAL)' },
    { name: 'Resolution', type: 'string', jsonPath: '.spec.resolution', description: 'Service resolution mode for the hosts' },
    AGE,
  ],
});
