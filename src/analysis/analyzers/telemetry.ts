/** Telemetries that name no provider where the mesh has no default, or one that is gone. */
import type { Issue } from '../../base/issue.ts';
import type { Telemetry } from '../../objects/istio/telemetry.ts';
import { message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';

export function analyzeTelemetryProviders(set: ObjectSet): readonly Issue[] {
  if (set.meshConfig.defaultProviders?.accessLogging?.length) return [];
  return set.of<Telemetry>('Telemetry').flatMap((telemetry) => (telemetry.spec.accessLogging ?? []).flatMap(({ providers, disabled }, index) => (disabled || providers?.length
    ? []
    : [message('IST0157', telemetry, `spec.accessLogging[${index}].providers`, [telemetry.metadata.name, telemetry.metadata.namespace ?? ''], 'providers: [{name: envoy}], or set meshConfig.defaultProviders.accessLogging')])));
}

/** Envoy no longer has a Lightstep tracer. */
export function analyzeLightstep(set: ObjectSet): readonly Issue[] {
  const names = new Set((set.meshConfig.extensionProviders ?? []).filter((provider) => provider.lightstep !== undefined).map(({ name }) => name));
  return set.of<Telemetry>('Telemetry').flatMap((telemetry) => (telemetry.spec.tracing ?? []).flatMap(({ providers }, index) => (providers ?? []).flatMap(({ name }, at) => (names.has(name)
    ? [message('IST0002', telemetry, `spec.tracing[${index}].providers[${at}].name`, [`The Lightstep provider ${name} is deprecated, please migrate to OpenTelemetry provider`], 'use an opentelemetry provider')]
    : []))));
}
