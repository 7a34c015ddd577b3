import { create } from '@bufbuild/protobuf';
import { GrpcWebSchema } from '../../xds/gen/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.ts';
import { HttpFilterSchema, type HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { pack } from '../proto.ts';

/** Lets browsers call gRPC servers. Istio has it where a port is declared as gRPC-Web: at the server's sidecar and at gateways. */
export function grpcWebHttpFilter(): HttpFilter {
  return create(HttpFilterSchema, { name: 'envoy.filters.http.grpc_web', configType: { case: 'typedConfig', value: pack(GrpcWebSchema) } });
}
