import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { Span } from '../config/runtime.ts';
import type { RequestHead } from '../http/message.ts';
import type { RouteEntry } from '../route/route-table.ts';

/** Names a span after its route; what the client's proxy called the operation goes before, and ours is told to the server's. */
export function nameSpan(span: Span | undefined, request: RequestHead, route: RouteEntry | undefined, direction: TrafficRecord['direction']): void {
  const override = direction === 'inbound' ? request.headers.get('x-envoy-decorator-operation') : undefined;
  if (override !== undefined) {
    request.headers.remove('x-envoy-decorator-operation');
    span?.setOperation(override);
  } else if (route !== undefined && route.decorator !== '') {
    span?.setOperation(route.decorator);
    if (direction !== 'inbound') request.headers.set('x-envoy-decorator-operation', route.decorator);
  }
}
