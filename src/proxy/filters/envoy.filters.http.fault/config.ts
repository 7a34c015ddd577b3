import { fromBinary } from '@bufbuild/protobuf';
import { HTTPFaultSchema } from '../../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts';
import type { HTTPFault } from '../../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts';
import { compileHeaderMatcher, requestHeaderSource } from '../../route/header-match.ts';
import type { RequestHead } from '../../http/message.ts';
import { fractionOf } from '../percent.ts';

/** What the fault filter injects; fractions 0–1, 0 = never. */
export interface FaultConfig {
  readonly delay: { readonly delayMs: number; readonly fraction: number } | undefined;
  readonly abort: { readonly status: number; readonly grpcStatus: number | undefined; readonly fraction: number } | undefined;
  /** Only requests that all of these match. */
  readonly matches: (head: RequestHead) => boolean;
  /** Only requests to this cluster; '' = any. */
  readonly upstreamCluster: string;
  /** Undefined = unlimited. */
  readonly maxActiveFaults: number | undefined;
}

/** @throws Error for header-controlled faults, which are not offered: callers could break a mesh with a header. */
export function parseFault(bytes: Uint8Array): FaultConfig {
  const fault = fromBinary(HTTPFaultSchema, bytes);
  const matchers = fault.headers.map((matcher) => compileHeaderMatcher(matcher));
  return {
    delay: delayOf(fault),
    abort: abortOf(fault),
    matches: (head) => {
      if (matchers.length === 0) return true;
      const source = requestHeaderSource(head);
      return matchers.every((matches) => matches(source));
    },
    upstreamCluster: fault.upstreamCluster,
    maxActiveFaults: fault.maxActiveFaults,
  };
}

function delayOf({ delay }: HTTPFault): FaultConfig['delay'] {
  const kind = delay?.faultDelaySecifier;
  if (kind?.case === 'headerDelay') throw new Error('fault: header_delay is not supported');
  if (kind?.case !== 'fixedDelay') return undefined;
  return { delayMs: Number(kind.value.seconds) * 1000 + kind.value.nanos / 1e6, fraction: fractionOf(delay?.percentage) };
}

function abortOf({ abort }: HTTPFault): FaultConfig['abort'] {
  const kind = abort?.errorType;
  switch (kind?.case) {
    case 'httpStatus':
      return { status: kind.value, grpcStatus: undefined, fraction: fractionOf(abort?.percentage) };
    case 'grpcStatus':
      return { status: 200, grpcStatus: kind.value, fraction: fractionOf(abort?.percentage) };
    case 'headerAbort':
      throw new Error('fault: header_abort is not supported');
    default:
      return undefined;
  }
}
