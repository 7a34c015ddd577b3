import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { RequestHead } from '../http/message.ts';
import { applyHeaderMutations } from '../route/header-mutations.ts';
import type { ClusterChoice, RouteAction, RouteEntry } from '../route/route-table.ts';

export type ForwardAction = Extract<RouteAction, { kind: 'forward' }>;

/**
 * Turns the request the client sent into the one that goes upstream: header changes (weighted entry, route, virtual host, table), host and path rewrites.
 * @see Envoy RouteEntryImplBase::finalizeRequestHeaders
 */
export function prepareRequest(head: RequestHead, entry: RouteEntry, action: ForwardAction, choice: ClusterChoice, known: Partial<TrafficRecord>): void {
  const target = { headers: head.headers };
  if (choice.request !== undefined) applyHeaderMutations(target, choice.request, known);
  for (const mutations of entry.request) applyHeaderMutations(target, mutations, known);
  const host = choice.hostRewrite ?? action.hostRewrite;
  if (host !== undefined && host !== head.authority) {
    head.headers.set('x-envoy-original-host', head.authority);
    head.authority = host;
  }
  if (action.rewritePath === undefined) return;
  // Also where the path stays as it is, as in Envoy.
  head.headers.set('x-envoy-original-path', head.path);
  head.path = action.rewritePath(head.path);
}

/** The route timeout, or the request's own gRPC deadline where the route honours it; 0 = none. @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export function timeoutOf(head: RequestHead, action: ForwardAction, grpc: boolean): number {
  if (!grpc || action.maxGrpcTimeoutMs === undefined) return action.timeoutMs;
  const asked = parseGrpcTimeoutMs(head.headers.get('grpc-timeout'));
  if (asked === undefined) return action.timeoutMs;
  return action.maxGrpcTimeoutMs === 0 ? asked : Math.min(asked, action.maxGrpcTimeoutMs);
}

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 };

function parseGrpcTimeoutMs(text: string | undefined): number | undefined {
  const match = text === undefined ? null : /^(\d{1,8})([HMSmun])$/.exec(text);
  return match === null ? undefined : Math.max(1, Math.ceil(Number(match[1]) * UNIT_MS[match[2]!]!));
}
