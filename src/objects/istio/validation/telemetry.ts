import type { Telemetry } from '../telemetry.ts';
import { checkTargeting } from './common.ts';
import type { Findings } from './findings.ts';

export function checkTelemetry(findings: Findings, telemetry: Telemetry): void {
  const { spec } = telemetry;
  checkTargeting(findings, spec);
  if ((spec.tracing?.length ?? 0) > 1) findings.warn('spec.tracing', 'multiple tracing is not currently supported', 'put everything into one');
  spec.tracing?.forEach((tracing, index) => {
    const path = `spec.tracing[${index}]`;
    if ((tracing.providers?.length ?? 0) > 1) findings.warn(`${path}.providers`, 'multiple providers is not currently supported for tracing; the first one counts');
    for (const [name, tag] of Object.entries(tracing.customTags ?? {})) {
      if (name === '') findings.error(`${path}.customTags`, 'tag name may not be empty');
      const sources = (['literal', 'environment', 'header', 'formatter'] as const).filter((source) => tag[source] !== undefined);
      if (sources.length !== 1) findings.error(`${path}.customTags.${name}`, 'exactly one of literal, environment, header and formatter must be set');
    }
  });
  spec.metrics?.forEach(({ overrides }, index) => {
    overrides?.forEach((override, at) => {
      const path = `spec.metrics[${index}].overrides[${at}]`;
      if (override.match?.metric !== undefined && override.match.customMetric !== undefined) findings.error(`${path}.match`, 'only one of metric and customMetric can be set');
      for (const [name, tag] of Object.entries(override.tagOverrides ?? {})) {
        if (name === '') findings.warn(`${path}.tagOverrides`, 'tagOverrides.name may not be empty');
        if ((tag.operation ?? 'UPSERT') === 'UPSERT' && !tag.value) findings.error(`${path}.tagOverrides.${name}.value`, 'value must be set when operation is UPSERT');
        if (tag.operation === 'REMOVE' && tag.value !== undefined) findings.error(`${path}.tagOverrides.${name}.value`, 'value must not be set when operation is REMOVE');
      }
    });
  });
}
