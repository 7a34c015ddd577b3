import { fromBinary } from '@bufbuild/protobuf';
import { FilterConfigSchema, FilterConfig_Protocol as Protocol } from '../../../xds/gen/istio/alpn/alpn_pb.ts';

/** ALPNs to offer upstream, by the protocol spoken there. */
export type AlpnConfig = ReadonlyMap<'http1' | 'http2', readonly string[]>;

/** HTTP/1.0 is never spoken upstream, so its list is not kept. */
export function parseAlpn(bytes: Uint8Array): AlpnConfig {
  const lists = new Map<'http1' | 'http2', readonly string[]>();
  for (const { upstreamProtocol, alpnOverride } of fromBinary(FilterConfigSchema, bytes).alpnOverride) {
    if (upstreamProtocol === Protocol.HTTP11) lists.set('http1', alpnOverride);
    if (upstreamProtocol === Protocol.HTTP2) lists.set('http2', alpnOverride);
  }
  return lists;
}
