/** HttpConnectionManager.Tracing → Tracer. */
import { startSpan, type TracerOptions } from '../../telemetry/tracing/tracer.ts';
import { unpackAny } from '../../xds/codec.ts';
import { ZipkinConfigSchema } from '../../xds/gen/envoy/config/trace/v3/zipkin_pb.ts';
import type { HttpConnectionManager_Tracing as Tracing } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import type { CustomTag } from '../../xds/gen/envoy/type/tracing/v3/custom_tag_pb.ts';
import type { CompileContext } from './compile-context.ts';
import type { Tracer } from './runtime.ts';

/** Undefined when no provider is named: then there is nobody to tell. Throws for providers that are not here. */
export function compileTracing(tracing: Tracing, context: CompileContext): Tracer | undefined {
  if (!tracing.provider) return undefined;
  const typed = tracing.provider.configType.value;
  const zipkin = unpackAny(typed, ZipkinConfigSchema);
  if (!zipkin) throw new Error(`tracing provider ${tracing.provider.name} (${typed?.typeUrl ?? 'no config'}) is not supported`);
  const { node, random } = context;
  const report = context.spans({ cluster: zipkin.collectorCluster, path: zipkin.collectorEndpoint, hostname: zipkin.collectorHostname || zipkin.collectorCluster });
  const options: TracerOptions = {
    clientPercent: tracing.clientSampling?.value ?? 100,
    randomPercent: tracing.randomSampling?.value ?? 100,
    overallPercent: tracing.overallSampling?.value ?? 100,
    sharedSpans: zipkin.sharedSpanContext ?? true,
    traceId128: zipkin.traceId128bit,
    maxPathLength: tracing.maxPathTagLength ?? 256,
    customTags: tracing.customTags.map((tag) => ({ tag: tag.tag, value: customTag(tag, context) })),
    nodeId: node.id,
    service: node.cluster,
    localIp: node.id.split('~')[1] ?? '',
    random,
    report,
  };
  return {
    start: (head, { direction, startMs, requestId, sourceAddress }) => {
      const span = startSpan(options, {
        direction, startMs, requestId, sourceAddress, authority: head.authority,
        read: (name) => head.headers.get(name),
        write: (name, value) => head.headers.set(name, value),
      });
      return {
        setOperation: (name) => span.setOperation(name),
        inject: (upstream) => span.inject((name, value) => upstream.headers.set(name, value)),
        finish: (record) => span.finish(record),
      };
    },
  };
}

function customTag(tag: CustomTag, context: CompileContext): TracerOptions['customTags'][number]['value'] {
  const { type } = tag;
  switch (type.case) {
    case 'literal':
      return () => type.value.value;
    case 'environment': {
      const value = context.environment.variable(type.value.name) ?? type.value.defaultValue;
      return () => value || undefined;
    }
    case 'requestHeader':
      return (read) => read(type.value.name.toLowerCase()) ?? (type.value.defaultValue || undefined);
    case 'metadata':
      return () => type.value.defaultValue || undefined;
    case undefined:
      return () => undefined;
  }
}
