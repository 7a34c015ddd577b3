import { create } from '@bufbuild/protobuf';
import { FilterConfigSchema } from '../../xds/gen/envoy/extensions/filters/http/grpc_stats/v3/config_pb.ts';
import { HttpFilterSchema, type HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { pack } from '../proto.ts';

/** Counts gRPC messages for istio.stats. */
export function grpcStatsHttpFilter(): HttpFilter {
  return create(HttpFilterSchema, {
    name: 'envoy.filters.http.grpc_stats',
    configType: { case: 'typedConfig', value: pack(FilterConfigSchema, { emitFilterState: true, perMethodStatSpecifier: { case: 'statsForAllMethods', value: { value: false } } }) },
  });
}
