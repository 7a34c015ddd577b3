import type { SpecObject } from '../meta.ts';
import { WORKLOAD_GROUP } from '../resource-types.ts';
import { AGE } from '../schema/define-kind.ts';
import { int, list, map, obj, req, str, uint, type Infer } from '../schema/dsl.ts';
import type { IstioStatus } from './common.ts';
import { defineIstioKind, NETWORKING_VERSIONS } from './define-istio-kind.ts';
import { workloadEntrySpec } from './workload-entry.ts';

const probe = obj({
  initialDelaySeconds: int({ minimum: 0 }),
  /** Default 1. */
  timeoutSeconds: int({ minimum: 0 }),
  /** Default 10. */
  periodSeconds: int({ minimum: 0 }),
  /** Default 1. */
  successThreshold: int({ minimum: 0 }),
  /** Default 3. */
  failureThreshold: int({ minimum: 0 }),
  httpGet: obj({ path: str(), port: req(uint()), host: str(), scheme: str(), httpHeaders: list(obj({ name: str({ pattern: '^[-_A-Za-z0-9]+$' }), value: str() })) }),
  tcpSocket: obj({ host: str(), port: req(uint()) }),
  exec: obj({ command: req(list(str({ minLength: 1 }))) }),
  grpc: obj({ service: str(), port: uint() }),
});
/** A health check that the agent of a workload runs. */
export type ReadinessProbe = Infer<typeof probe>;

const spec = obj({ metadata: obj({ labels: map(str(), { maxProperties: 256 }), annotations: map(str(), { maxProperties: 256 }) }), template: req(workloadEntrySpec), probe });
/** @see https://istio.io/latest/docs/reference/config/networking/workload-group/ */
export type WorkloadGroupSpec = Infer<typeof spec>;
export type WorkloadGroup = SpecObject<WorkloadGroupSpec, IstioStatus>;

export const WORKLOAD_GROUP_KIND = defineIstioKind(WORKLOAD_GROUP, { ...NETWORKING_VERSIONS, shortNames: ['wg'], spec, specRequired: true, columns: [AGE] });
