import type { RequestHead, ResponseHead } from '../../http/message.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import { parseCors } from './config.ts';
import type { CorsConfig } from './config.ts';

/** Answers preflights and marks responses by the route's policy. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/cors_filter */
export const corsFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.cors',
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors',
  routeTypeUrl: 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy',
  parse(typeUrl, bytes) {
    return typeUrl.endsWith('.CorsPolicy') ? parseCors(bytes) : undefined;
  },
  create(_config, routeConfig) {
    return routeConfig === undefined || (routeConfig as CorsConfig).enabled <= 0 ? undefined : new CorsFilter(routeConfig as CorsConfig);
  },
};

class CorsFilter implements HttpFilter {
  /** Streams whose origin was found good: a reply of an earlier filter is not marked. */
  private readonly allowed = new WeakSet<FilterContext>();

  constructor(private readonly policy: CorsConfig) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    const origin = head.headers.get('origin');
    if (origin === undefined || origin === '') return CONTINUE;
    const { policy } = this;
    const preflight = head.method === 'OPTIONS' && (head.headers.get('access-control-request-method') ?? '') !== '';
    if (!policy.allowsOrigin(origin)) {
      context.stats.counters['cors.origin_invalid']++;
      return preflight && !policy.forwardNotMatchingPreflights ? { kind: 'reply', reply: { status: 200, body: '', details: 'cors_response' } } : CONTINUE;
    }
    context.stats.counters['cors.origin_valid']++;
    if (!preflight) {
      this.allowed.add(context);
      return CONTINUE;
    }
    const headers: [string, string][] = [['access-control-allow-origin', origin]];
    if (policy.allowCredentials) headers.push(['access-control-allow-credentials', 'true']);
    if (policy.allowMethods !== '') headers.push(['access-control-allow-methods', policy.allowMethods]);
    if (policy.allowHeaders !== '') headers.push(['access-control-allow-headers', policy.allowHeaders]);
    if (policy.maxAge !== '') headers.push(['access-control-max-age', policy.maxAge]);
    return { kind: 'reply', reply: { status: 200, body: '', details: 'cors_response', headers } };
  }

  onResponse(head: ResponseHead, context: FilterContext): void {
    const origin = context.request.headers.get('origin');
    const { policy } = this;
    if (origin === undefined || !this.allowed.has(context)) return;
    head.headers.set('access-control-allow-origin', origin);
    if (policy.allowCredentials) head.headers.set('access-control-allow-credentials', 'true');
    if (policy.exposeHeaders !== '') head.headers.set('access-control-expose-headers', policy.exposeHeaders);
  }
}
