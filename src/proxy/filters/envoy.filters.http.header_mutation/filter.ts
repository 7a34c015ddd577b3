import type { RequestHead, ResponseHead } from '../../http/message.ts';
import { applyHeaderMutations } from '../../route/header-mutations.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import { parseHeaderMutation, PER_ROUTE_TYPE_URL } from './config.ts';
import type { HeaderMutationConfig } from './config.ts';

/** Changes headers: first as the filter says, then as the route does. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/header_mutation_filter */
export const headerMutationFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.header_mutation',
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation',
  routeTypeUrl: PER_ROUTE_TYPE_URL,
  parse: parseHeaderMutation,
  create(config, routeConfig) {
    const levels = [config, routeConfig].filter((level) => level !== undefined) as HeaderMutationConfig[];
    const request = levels.flatMap((level) => level.request);
    const response = levels.flatMap((level) => level.response);
    return request.length + response.length === 0 ? undefined : new HeaderMutationFilter({ request, response });
  },
};

class HeaderMutationFilter implements HttpFilter {
  constructor(private readonly config: HeaderMutationConfig) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    for (const mutations of this.config.request) applyHeaderMutations({ headers: head.headers }, mutations, context.known());
    return CONTINUE;
  }

  onResponse(head: ResponseHead, context: FilterContext): void {
    for (const mutations of this.config.response) applyHeaderMutations({ headers: head.headers }, mutations, context.known());
  }
}
