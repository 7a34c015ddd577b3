import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilterFactory } from '../http-filter.ts';
import type { RequestHead } from '../../http/message.ts';
import { parseAlpn } from './config.ts';
import type { AlpnConfig } from './config.ts';

/** Offers Istio's ALPNs upstream, so that the other sidecar knows a mesh peer from a TLS client. @see https://istio.io/latest/docs/reference/config/proxy_extensions/ */
export const alpnFilter: HttpFilterFactory = {
  name: 'istio.alpn',
  typeUrl: 'type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig',
  routeTypeUrl: undefined,
  parse: (_typeUrl, bytes) => parseAlpn(bytes),
  create(config) {
    const lists = config as AlpnConfig;
    return lists.size === 0 ? undefined : { onRequest: (_head: RequestHead, context: FilterContext): FilterVerdict => {
      context.upstreamAlpn = lists;
      return CONTINUE;
    } };
  },
};
