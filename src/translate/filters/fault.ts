import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { HTTPFaultSchema } from '../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts';
import { HttpFilterSchema, type HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import type { FaultInjection } from '../../model/virtual-service.ts';
import { fractionalPercent } from '../fraction.ts';
import { duration, pack } from '../proto.ts';

export const FAULT_FILTER = 'envoy.filters.http.fault';

/** Does nothing by itself; routes bring their faults. */
export function faultHttpFilter(): HttpFilter {
  return create(HttpFilterSchema, { name: FAULT_FILTER, configType: { case: 'typedConfig', value: pack(HTTPFaultSchema) } });
}

export function faultRouteConfig(fault: FaultInjection): Any {
  const { delay, abort } = fault;
  return pack(HTTPFaultSchema, {
    ...(delay && { delay: { faultDelaySecifier: { case: 'fixedDelay' as const, value: duration(delay.fixedDelayMs) }, percentage: fractionalPercent(delay.percent) } }),
    ...(abort && {
      abort: {
        percentage: fractionalPercent(abort.percent),
        errorType: abort.httpStatus !== undefined ? { case: 'httpStatus' as const, value: abort.httpStatus } : { case: 'grpcStatus' as const, value: abort.grpcStatus ?? 14 },
      },
    }),
  });
}
