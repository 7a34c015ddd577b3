import { create } from '@bufbuild/protobuf';
import { HttpFilterSchema, type HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { FilterConfig_Protocol, FilterConfigSchema } from '../../xds/gen/istio/alpn/alpn_pb.ts';
import { pack } from '../proto.ts';

/** Says per request which of Istio's ALPNs to offer upstream, so that the server's sidecar picks its HTTP chain without looking at bytes. */
export function alpnHttpFilter(): HttpFilter {
  return create(HttpFilterSchema, {
    name: 'istio.alpn',
    configType: {
      case: 'typedConfig',
      value: pack(FilterConfigSchema, {
        alpnOverride: [
          { upstreamProtocol: FilterConfig_Protocol.HTTP10, alpnOverride: ['istio-http/1.0', 'istio', 'http/1.0'] },
          { upstreamProtocol: FilterConfig_Protocol.HTTP11, alpnOverride: ['istio-http/1.1', 'istio', 'http/1.1'] },
          { upstreamProtocol: FilterConfig_Protocol.HTTP2, alpnOverride: ['istio-h2', 'istio', 'h2'] },
        ],
      }),
    },
  });
}
