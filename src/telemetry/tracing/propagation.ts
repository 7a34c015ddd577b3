/** Trace contexts in headers: B3 (many headers or one) and W3C. */

/** What a caller told of its span. */
export interface TraceContext {
  /** 16 or 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** The caller's span: the parent of ours. '' when only a sampling decision came. */
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** Undefined: the caller left the decision to us. */
  readonly sampled: boolean | undefined;
  /** Debug traces are always sampled. */
  readonly debug: boolean;
  readonly format: 'b3' | 'b3-single' | 'w3c' | 'none';
}

export type ReadHeader = (name: string) => string | undefined;
export type WriteHeader = (name: string, value: string) => void;

const HEX_16_OR_32 = /^(?:[0-9a-f]{16}){1,2}$/;
const HEX_16 = /^[0-9a-f]{16}$/;

/**
 * Reads B3, then single-header B3, then W3C. Undefined when no header says anything; broken values count as absent.
 * @see https://github.com/openzipkin/b3-propagation @see https://www.w3.org/TR/trace-context/
 */
export function extractTraceContext(read: ReadHeader): TraceContext | undefined {
  return extractB3(read) ?? extractB3Single(read('b3')) ?? extractW3c(read('traceparent'));
}

function extractB3(read: ReadHeader): TraceContext | undefined {
  const debug = read('x-b3-flags') === '1';
  const sampled = debug ? true : sampledOf(read('x-b3-sampled'));
  const traceId = read('x-b3-traceid')?.toLowerCase() ?? '';
  const spanId = read('x-b3-spanid')?.toLowerCase() ?? '';
  if (!HEX_16_OR_32.test(traceId) || !HEX_16.test(spanId)) return sampled === undefined ? undefined : { traceId: '', spanId: '', parentSpanId: undefined, sampled, debug, format: 'b3' };
  const parent = read('x-b3-parentspanid')?.toLowerCase() ?? '';
  return { traceId, spanId, parentSpanId: HEX_16.test(parent) ? parent : undefined, sampled, debug, format: 'b3' };
}

function sampledOf(value: string | undefined): boolean | undefined {
  if (value === '1' || value?.toLowerCase() === 'true') return true;
  return value === '0' || value?.toLowerCase() === 'false' ? false : undefined;
}

function extractB3Single(value: string | undefined): TraceContext | undefined {
  if (value === undefined) return undefined;
  if (/^[01d]$/.test(value)) return { traceId: '', spanId: '', parentSpanId: undefined, sampled: value !== '0', debug: value === 'd', format: 'b3-single' };
  const match = /^((?:[0-9a-f]{16}){1,2})-([0-9a-f]{16})(?:-([01d])(?:-([0-9a-f]{16}))?)?$/i.exec(value);
  if (!match) return undefined;
  const flag = match[3];
  return { traceId: match[1]!.toLowerCase(), spanId: match[2]!.toLowerCase(), parentSpanId: match[4]?.toLowerCase(), sampled: flag === undefined ? undefined : flag !== '0', debug: flag === 'd', format: 'b3-single' };
}

function extractW3c(value: string | undefined): TraceContext | undefined {
  const match = value === undefined ? null : /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/.exec(value);
  if (!match || /^0+$/.test(match[1]!) || /^0+$/.test(match[2]!)) return undefined;
  return { traceId: match[1]!, spanId: match[2]!, parentSpanId: undefined, sampled: (Number.parseInt(match[3]!, 16) & 1) === 1, debug: false, format: 'w3c' };
}

/** Writes B3 headers of a span: the single one alone where the caller spoke it (two forms would tell two spans apart), else the many, and W3C's beside them for a caller that spoke that. */
export function injectTraceContext(write: WriteHeader, context: TraceContext): void {
  const sampled = context.sampled ? '1' : '0';
  if (context.format === 'b3-single') return write('b3', `${context.traceId}-${context.spanId}-${context.debug ? 'd' : sampled}${context.parentSpanId ? `-${context.parentSpanId}` : ''}`);
  write('x-b3-traceid', context.traceId);
  write('x-b3-spanid', context.spanId);
  if (context.parentSpanId) write('x-b3-parentspanid', context.parentSpanId);
  write('x-b3-sampled', sampled);
  if (context.format === 'w3c') write('traceparent', `00-${context.traceId.padStart(32, '0')}-${context.spanId}-0${sampled}`);
}
