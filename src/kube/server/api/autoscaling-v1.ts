/** HorizontalPodAutoscalers in their first version, which `kubectl autoscale` writes: stored as v2, with another shape. */
import type { KindInfo } from '../../../objects/kind.ts';
import type { KubeObject } from '../../../objects/meta.ts';
import { HORIZONTAL_POD_AUTOSCALER } from '../../../objects/resource-types.ts';
import { defineKind } from '../../../objects/schema/define-kind.ts';
import { int, int64, obj, req, str, time } from '../../../objects/schema/dsl.ts';
import { at, isObject, listAt, own, textAt } from '../json.ts';
import type { Converter } from './resources.ts';

const target = obj({ kind: req(str()), name: req(str()), apiVersion: str() });
const spec = obj({ scaleTargetRef: req(target), minReplicas: int({ default: 1 }), maxReplicas: req(int()), targetCPUUtilizationPercentage: int() });
const status = obj({ observedGeneration: int64(), lastScaleTime: time(), currentReplicas: int(), desiredReplicas: int(), currentCPUUtilizationPercentage: int() });

/** @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v1/ */
export const AUTOSCALER_V1_KIND: KindInfo = defineKind({ ...HORIZONTAL_POD_AUTOSCALER, version: 'v1' }, { storageVersion: 'v2', shortNames: ['hpa'], categories: ['all'], status: true, fields: { spec, status } });

/** What v1 has no fields for travels in annotations. */
const METRICS = 'autoscaling.alpha.kubernetes.io/metrics';
const BEHAVIOR = 'autoscaling.alpha.kubernetes.io/behavior';
const CONDITIONS = 'autoscaling.alpha.kubernetes.io/conditions';

/** Converts between v1 and v2. */
export const convertAutoscalers: Converter = async (objects, apiVersion) => objects.map((object) => (apiVersion === 'autoscaling/v1' ? toV1(object) : toV2(object)));

const isCpu = (metric: unknown): boolean => textAt(metric, 'type') === 'Resource' && textAt(metric, 'resource', 'name') === 'cpu' && at(metric, 'resource', 'target', 'averageUtilization') !== undefined;

function toV1(object: KubeObject): KubeObject {
  const { metrics: _metrics, behavior, ...rest } = (own(object, 'spec') ?? {}) as Record<string, unknown>;
  const { currentMetrics, conditions, ...state } = (own(object, 'status') ?? {}) as Record<string, unknown>;
  const metrics = listAt(object, 'spec', 'metrics');
  const cpu = metrics.find(isCpu);
  const others = metrics.filter((metric) => metric !== cpu);
  const used = at((Array.isArray(currentMetrics) ? currentMetrics : []).find((one) => textAt(one, 'resource', 'name') === 'cpu'), 'resource', 'current', 'averageUtilization');
  const annotations = {
    ...object.metadata.annotations,
    ...(others.length > 0 ? { [METRICS]: JSON.stringify(others) } : {}),
    ...(behavior === undefined ? {} : { [BEHAVIOR]: JSON.stringify(behavior) }),
    ...(Array.isArray(conditions) && conditions.length > 0 ? { [CONDITIONS]: JSON.stringify(conditions) } : {}),
  };
  return {
    ...object,
    apiVersion: 'autoscaling/v1',
    metadata: { ...object.metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: { ...rest, ...(cpu === undefined ? {} : { targetCPUUtilizationPercentage: at(cpu, 'resource', 'target', 'averageUtilization') }) },
    ...(own(object, 'status') === undefined ? {} : { status: { ...state, ...(used === undefined ? {} : { currentCPUUtilizationPercentage: used }) } }),
  } as unknown as KubeObject;
}

function toV2(object: KubeObject): KubeObject {
  const { targetCPUUtilizationPercentage: cpu, ...rest } = (own(object, 'spec') ?? {}) as Record<string, unknown>;
  const { currentCPUUtilizationPercentage: used, ...state } = (own(object, 'status') ?? {}) as Record<string, unknown>;
  const { [METRICS]: others, [BEHAVIOR]: behavior, [CONDITIONS]: conditions, ...annotations } = object.metadata.annotations ?? {};
  const kept = parsed(others);
  const metrics = [...(Array.isArray(kept) ? (kept as unknown[]) : []), ...(typeof cpu === 'number' ? [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: cpu } } }] : [])];
  const keptConditions = parsed(conditions);
  const keptBehavior = parsed(behavior);
  const { annotations: _annotations, ...metadata } = object.metadata;
  return {
    ...object,
    apiVersion: 'autoscaling/v2',
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: { ...rest, ...(metrics.length > 0 ? { metrics } : {}), ...(isObject(keptBehavior) ? { behavior: keptBehavior } : {}) },
    ...(own(object, 'status') === undefined ? {} : {
      status: {
        ...state,
        ...(Array.isArray(keptConditions) ? { conditions: keptConditions } : {}),
        ...(typeof used === 'number' ? { currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: used } } }] } : {}),
      },
    }),
  } as unknown as KubeObject;
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
