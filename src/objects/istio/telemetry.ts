import type { SpecObject } from '../meta.ts';
import { TELEMETRY } from '../resource-types.ts';
import { AGE } from '../schema/define-kind.ts';
import { bool, duration, having, list, map, num, obj, oneOf, req, str, type Infer } from '../schema/dsl.ts';
import { targetReference, workloadSelector, type IstioStatus } from './common.ts';
import { defineIstioKind } from './define-istio-kind.ts';

const mode = oneOf('CLIENT_AND_SERVER', 'CLIENT', 'SERVER');
const providers = list(obj({ name: req(str({ minLength: 1 })) }));
const optionalBool = bool({ nullable: true });

const customTag = obj({
  literal: obj({ value: req(str({ minLength: 1 })) }),
  environment: obj({ name: req(str({ minLength: 1 })), defaultValue: str() }),
  header: obj({ name: req(str({ minLength: 1 })), defaultValue: str() }),
  formatter: obj({ value: req(str({ minLength: 1 })) }),
});
const tracing = obj({
  match: obj({ mode }),
  providers,
  /** 0–100. */
  randomSamplingPercentage: having(num(), { minimum: 0, maximum: 100, nullable: true }),
  disableSpanReporting: optionalBool,
  customTags: map(customTag),
  useRequestIdForTraceSampling: optionalBool,
  enableIstioTags: optionalBool,
  disableContextPropagation: optionalBool,
});
export type Tracing = Infer<typeof tracing>;

const metricSelector = obj({
  metric: oneOf(
    'ALL_METRICS', 'REQUEST_COUNT', 'REQUEST_DURATION', 'REQUEST_SIZE', 'RESPONSE_SIZE', 'TCP_OPENED_CONNECTIONS', 'TCP_CLOSED_CONNECTIONS', 'TCP_SENT_BYTES',
    'TCP_RECEIVED_BYTES', 'GRPC_REQUEST_MESSAGES', 'GRPC_RESPONSE_MESSAGES',
  ),
  customMetric: str({ minLength: 1 }),
  mode,
});
const metricOverride = obj({
  match: metricSelector,
  disabled: optionalBool,
  tagOverrides: map(obj({ operation: oneOf('UPSERT', 'REMOVE'), /** CEL. */ value: str() })),
});
export type MetricsOverrides = Infer<typeof metricOverride>;
const metrics = obj({ providers, overrides: list(metricOverride), reportingInterval: duration() });
export type Metrics = Infer<typeof metrics>;

const accessLogging = obj({ match: obj({ mode }), providers, disabled: optionalBool, filter: obj({ /** CEL. */ expression: str() }) });
export type AccessLogging = Infer<typeof accessLogging>;

const spec = obj({
  selector: workloadSelector,
  targetRef: targetReference,
  targetRefs: list(targetReference, {}, { maxItems: 16 }),
  tracing: list(tracing),
  metrics: list(metrics),
  accessLogging: list(accessLogging),
});
/** @see https://istio.io/latest/docs/reference/config/telemetry/ */
export type TelemetrySpec = Infer<typeof spec>;
export type Telemetry = SpecObject<TelemetrySpec, IstioStatus>;

export const TELEMETRY_KIND = defineIstioKind(TELEMETRY, {
  versions: ['v1', 'v1alpha1'],
  storageVersion: 'v1alpha1',
  category: 'telemetry-istio-io',
  shortNames: ['telemetry'],
  spec,
  columns: [AGE],
});
