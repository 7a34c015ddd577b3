/** Spans of one connection manager: whether a request is sampled, its ids, its tags. */
import { withoutPort } from '../address.ts';
import type { TrafficRecord } from '../traffic-record.ts';
import { extractTraceContext, injectTraceContext, type ReadHeader, type TraceContext, type WriteHeader } from './propagation.ts';
import type { FinishedSpan } from './span.ts';

export interface TracerOptions {
  /** Percent 0–100; all default to 100. */
  readonly clientPercent: number;
  readonly randomPercent: number;
  readonly overallPercent: number;
  /** Server spans take the caller's id instead of making their own. */
  readonly sharedSpans: boolean;
  readonly traceId128: boolean;
  /** Longest path in `http.url`. Default 256. */
  readonly maxPathLength: number;
  readonly customTags: readonly { readonly tag: string; readonly value: (read: ReadHeader) => string | undefined }[];
  /** Envoy's node id and service cluster. */
  readonly nodeId: string;
  readonly service: string;
  readonly localIp: string;
  readonly random: () => number;
  readonly report: (span: FinishedSpan) => void;
}

/** What is known of a request when its span starts. */
export interface SpanStart {
  readonly direction: TrafficRecord['direction'];
  readonly startMs: number;
  readonly requestId: string;
  readonly authority: string;
  readonly sourceAddress: string;
  readonly read: ReadHeader;
  readonly write: WriteHeader;
}

export interface ActiveSpan {
  readonly traceId: string;
  readonly sampled: boolean;
  setOperation(name: string): void;
  inject(write: WriteHeader): void;
  finish(record: TrafficRecord): void;
}

/** Position of the trace bits in a request id of UUID form: '4' says nothing, the others that the request is traced. @see Envoy's UUIDRequestIDExtension */
const TRACE_BIT = 14;
const TRACE_REASON = { sampled: '9', forced: 'a', client: 'b' } as const;

/**
 * Starts a span for every request, sampled or not: its headers carry the decision on.
 * Decision: the caller's headers, else the request id's trace bit, else chance.
 */
export function startSpan(options: TracerOptions, start: SpanStart): ActiveSpan {
  const caller = extractTraceContext(start.read);
  const sampled = decide(options, start, caller);
  const hasCaller = caller !== undefined && caller.spanId !== '';
  const shared = hasCaller && options.sharedSpans && start.direction === 'inbound';
  const spanId = shared ? caller.spanId : hexId(options.random);
  const context: TraceContext = {
    traceId: hasCaller ? caller.traceId : options.traceId128 ? hexId(options.random) + hexId(options.random) : hexId(options.random),
    spanId,
    parentSpanId: shared ? caller.parentSpanId : hasCaller ? caller.spanId : undefined,
    sampled,
    debug: caller?.debug ?? false,
    format: caller?.format ?? 'none',
  };
  let name = start.authority;
  return {
    traceId: context.traceId,
    sampled,
    setOperation: (operation) => void (name = operation || name),
    inject: (write) => injectTraceContext(write, context),
    finish: (record) => {
      if (!sampled) return;
      options.report({
        traceId: context.traceId, spanId, parentSpanId: context.parentSpanId, kind: start.direction === 'inbound' ? 'server' : 'client', name, startMs: start.startMs, durationMs: record.durationMs,
        shared, service: options.service, localIp: options.localIp, tags: tagsOf(options, start, record),
      });
    },
  };
}

function decide(options: TracerOptions, start: SpanStart, caller: TraceContext | undefined): boolean {
  const { random } = options;
  const bit = isUuid(start.requestId) ? start.requestId[TRACE_BIT] : undefined;
  let reason = bit !== undefined && '9ab'.includes(bit) ? bit : '';
  if (reason === '') {
    if (start.read('x-client-trace-id') !== undefined && random() * 100 < options.clientPercent) reason = TRACE_REASON.client;
    else if (start.read('x-envoy-force-trace') !== undefined) reason = TRACE_REASON.forced;
    else if (random() * 100 < options.randomPercent) reason = TRACE_REASON.sampled;
  }
  if (reason !== '' && options.overallPercent < 100 && random() * 100 >= options.overallPercent) reason = '';
  // The decision travels in the request id, so that proxies without trace headers agree; a caller's trace headers outweigh it without changing it.
  if (bit === '4' && reason !== '') start.write('x-request-id', `${start.requestId.slice(0, TRACE_BIT)}${reason}${start.requestId.slice(TRACE_BIT + 1)}`);
  return caller?.sampled ?? reason !== '';
}

function isUuid(text: string): boolean {
  return text.length === 36 && text[8] === '-' && text[13] === '-' && text[18] === '-' && text[23] === '-';
}

/** 64 random bits, never zero. */
function hexId(random: () => number): string {
  let id = '';
  for (let i = 0; i < 2; i++) id += Math.floor(random() * 0x1_0000_0000).toString(16).padStart(8, '0');
  return /^0+$/.test(id) ? '0000000000000001' : id;
}

/** @see https://github.com/envoyproxy/envoy/blob/main/source/common/tracing/http_tracer_impl.cc */
function tagsOf(options: TracerOptions, start: SpanStart, record: TrafficRecord): Map<string, string> {
  const header = (name: string): string | undefined => record.requestHeader(name);
  const path = (header('x-envoy-original-path') ?? record.path).slice(0, options.maxPathLength);
  const tags = new Map<string, string>([
    ['component', 'proxy'],
    ['node_id', options.nodeId],
    ['guid:x-request-id', header('x-request-id') ?? start.requestId],
    ['http.url', `${header('x-forwarded-proto') ?? record.scheme}://${record.authority}${path}`],
    ['http.method', record.method],
    ['downstream_cluster', header('x-envoy-downstream-service-cluster') ?? '-'],
    ['user_agent', header('user-agent') ?? '-'],
    ['http.protocol', record.protocol],
    ['peer.address', withoutPort(start.sourceAddress)],
    ['request_size', String(record.bytesReceived)],
    ['response_size', String(record.bytesSent)],
    ['http.status_code', String(record.responseCode)],
    ['response_flags', record.responseFlags.join(',') || '-'],
  ]);
  if (record.upstreamCluster) tags.set('upstream_cluster', record.upstreamCluster).set('upstream_cluster.name', record.upstreamCluster);
  if (record.grpc) {
    if (record.grpcStatus) tags.set('grpc.status_code', record.grpcStatus);
    tags.set('grpc.path', record.path).set('grpc.authority', record.authority);
  }
  const failedGrpc = record.grpc && ['1', '2', '4', '8', '12', '13', '14', '15'].includes(record.grpcStatus);
  if (record.responseCode === 0 || record.responseCode >= 500 || failedGrpc) tags.set('error', 'true');
  for (const { tag, value } of options.customTags) {
    const text = value(header);
    if (text !== undefined) tags.set(tag, text);
  }
  return tags;
}
