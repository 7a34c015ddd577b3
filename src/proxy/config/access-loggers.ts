/** AccessLog messages → one function over traffic records. */
import type { JsonObject } from '@bufbuild/protobuf';
import { ENVOY_TEXT_FORMAT } from '../../telemetry/access-log/default-format.ts';
import { compileFormat, compileJsonFormat, type CompiledFormat, type FormatOptions, type JsonTemplate } from '../../telemetry/access-log/format.ts';
import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import { unpackAny } from '../../xds/codec.ts';
import { ComparisonFilter_Op as Op, type AccessLog, type AccessLogFilter, type ComparisonFilter } from '../../xds/gen/envoy/config/accesslog/v3/accesslog_pb.ts';
import type { SubstitutionFormatString } from '../../xds/gen/envoy/config/core/v3/substitution_format_string_pb.ts';
import { FileAccessLogSchema, type FileAccessLog } from '../../xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.ts';
import { StdoutAccessLogSchema } from '../../xds/gen/envoy/extensions/access_loggers/stream/v3/stream_pb.ts';
import { compileHeaderMatcher } from '../route/header-match.ts';
import type { CompileContext } from './compile-context.ts';
import { eachWithin, within } from './config-error.ts';

type RecordPredicate = (record: TrafficRecord) => boolean;

/** Compiles the loggers of one listener, connection manager or TCP proxy. Throws ConfigError for logger types and filters that are not here. */
export function compileAccessLoggers(logs: readonly AccessLog[], context: Pick<CompileContext, 'environment' | 'openSink'>): (record: TrafficRecord) => void {
  const loggers = eachWithin('access_log', logs, (log) => compileAccessLog(log, context));
  if (loggers.length === 1) return loggers[0]!;
  return (record) => {
    for (const logger of loggers) logger(record);
  };
}

function compileAccessLog(log: AccessLog, context: Pick<CompileContext, 'environment' | 'openSink'>): (record: TrafficRecord) => void {
  const typed = log.configType.value;
  const file = unpackAny(typed, FileAccessLogSchema);
  const stdout = file ? undefined : unpackAny(typed, StdoutAccessLogSchema);
  if (!file && !stdout) throw new Error(`access logger ${log.name} (${typed?.typeUrl ?? 'no config'}) is not supported`);
  const options = { environment: context.environment };
  const format = within('format', () => (file ? fileFormat(file, options) : substitutionFormat(stdout!.accessLogFormat.value, options)));
  const passes = log.filter ? within('filter', () => compileLogFilter(log.filter!)) : undefined;
  const sink = context.openSink(file?.path ?? '/dev/stdout');
  return (record) => {
    if (!passes || passes(record)) sink.write(format.write(record));
  };
}

function fileFormat(file: FileAccessLog, options: FormatOptions): CompiledFormat {
  const format = file.accessLogFormat;
  switch (format.case) {
    case 'format':
      return compileFormat(format.value || ENVOY_TEXT_FORMAT, options);
    case 'jsonFormat':
    case 'typedJsonFormat':
      return compileJsonFormat(templateOf(format.value), options);
    case 'logFormat':
      return substitutionFormat(format.value, options);
    case undefined:
      return compileFormat(ENVOY_TEXT_FORMAT, options);
  }
}

/** @see envoy.config.core.v3.SubstitutionFormatString */
function substitutionFormat(message: SubstitutionFormatString | undefined, options: FormatOptions): CompiledFormat {
  const format = message?.format;
  const all = message?.omitEmptyValues ? { ...options, missing: '' } : options;
  switch (format?.case) {
    case 'jsonFormat':
      return compileJsonFormat(templateOf(format.value), all);
    case 'textFormat':
      return compileFormat(format.value, all);
    case 'textFormatSource':
      if (format.value.specifier.case !== 'inlineString') throw new Error('a format that is not inline is not supported');
      return compileFormat(format.value.specifier.value, all);
    default:
      return compileFormat(ENVOY_TEXT_FORMAT, all);
  }
}

function templateOf(json: JsonObject): JsonTemplate {
  return json as unknown as JsonTemplate;
}

/** @see envoy.config.accesslog.v3.AccessLogFilter */
export function compileLogFilter(filter: AccessLogFilter): RecordPredicate {
  const specifier = filter.filterSpecifier;
  switch (specifier.case) {
    case 'statusCodeFilter':
      return comparison(specifier.value.comparison, (record) => record.responseCode);
    case 'durationFilter':
      return comparison(specifier.value.comparison, (record) => record.durationMs);
    case 'responseFlagFilter': {
      const flags = new Set<string>(specifier.value.flags);
      return (record) => record.responseFlags.some((flag) => flags.size === 0 || flags.has(flag));
    }
    case 'headerFilter': {
      if (!specifier.value.header) throw new Error('header_filter without a header');
      const matches = compileHeaderMatcher(specifier.value.header);
      return (record) => matches((name) => {
        const value = headerOf(record, name);
        return value === undefined ? [] : [value];
      });
    }
    case 'andFilter': {
      const filters = specifier.value.filters.map(compileLogFilter);
      return (record) => filters.every((passes) => passes(record));
    }
    case 'orFilter': {
      const filters = specifier.value.filters.map(compileLogFilter);
      return (record) => filters.some((passes) => passes(record));
    }
    case 'grpcStatusFilter': {
      const { statuses, exclude } = specifier.value;
      const wanted = new Set<number>(statuses);
      return (record) => wanted.has(Number(record.grpcStatus || 2)) !== exclude;
    }
    case 'notHealthCheckFilter':
    case 'traceableFilter':
      return () => true;
    default:
      throw new Error(`access log filter ${specifier.case ?? 'without a specifier'} is not supported`);
  }
}

function comparison(filter: ComparisonFilter | undefined, read: (record: TrafficRecord) => number): RecordPredicate {
  const value = filter?.value?.defaultValue ?? 0;
  switch (filter?.op) {
    case Op.GE:
      return (record) => read(record) >= value;
    case Op.LE:
      return (record) => read(record) <= value;
    default:
      return (record) => read(record) === value;
  }
}

function headerOf(record: TrafficRecord, name: string): string | undefined {
  switch (name) {
    case ':method':
      return record.method;
    case ':path':
      return record.path;
    case ':authority':
    case 'host':
      return record.authority;
    case ':scheme':
      return record.scheme;
    default:
      return record.requestHeader(name);
  }
}
