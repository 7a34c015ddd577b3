import type { SpecObject } from '../meta.ts';
import { HORIZONTAL_POD_AUTOSCALER } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { int, int64, list, obj, quantity, req, str, time, type Infer } from '../schema/dsl.ts';
import { conditions, labelSelector } from './meta-schema.ts';

const target = obj({ type: req(str()), value: quantity(), averageValue: quantity(), averageUtilization: int() });
const identifier = obj({ name: req(str()), selector: labelSelector });
const objectTarget = obj({ kind: req(str()), name: req(str()), apiVersion: str() });
const metric = obj({
  type: req(str()),
  object: obj({ describedObject: req(objectTarget), target: req(target), metric: req(identifier) }),
  pods: obj({ metric: req(identifier), target: req(target) }),
  resource: obj({ name: req(str()), target: req(target) }),
  containerResource: obj({ name: req(str()), target: req(target), container: req(str()) }),
  external: obj({ metric: req(identifier), target: req(target) }),
});
const current = obj({ value: quantity(), averageValue: quantity(), averageUtilization: int() });
const currentMetric = obj({
  type: req(str()),
  object: obj({ metric: identifier, current, describedObject: objectTarget }),
  pods: obj({ metric: identifier, current }),
  resource: obj({ name: req(str()), current }),
  containerResource: obj({ name: req(str()), current, container: str() }),
  external: obj({ metric: identifier, current }),
});
const scaling = obj({
  stabilizationWindowSeconds: int(),
  selectPolicy: str(),
  policies: list(obj({ type: req(str()), value: req(int()), periodSeconds: req(int()) }), { atomic: true }),
  tolerance: quantity(),
});
const spec = obj({ scaleTargetRef: req(objectTarget), minReplicas: int({ default: 1 }), maxReplicas: req(int()), metrics: list(metric, { atomic: true }), behavior: obj({ scaleUp: scaling, scaleDown: scaling }) });
const status = obj({ observedGeneration: int64(), lastScaleTime: time(), currentReplicas: int(), desiredReplicas: int(), currentMetrics: list(currentMetric, { atomic: true }), conditions });

/** Scales by load; stored and shown, nothing measures here. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/ */
export type HorizontalPodAutoscaler = SpecObject<Infer<typeof spec>, Infer<typeof status>>;
export const HORIZONTAL_POD_AUTOSCALER_KIND = defineKind(HORIZONTAL_POD_AUTOSCALER, { shortNames: ['hpa'], categories: ['all'], status: true, fields: { spec, status } });
