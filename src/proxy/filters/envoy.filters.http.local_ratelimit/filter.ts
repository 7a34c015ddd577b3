import type { RequestHead, ResponseHead } from '../../http/message.ts';
import type { Connection } from '../../io/connection.ts';
import { applyHeaderMutations } from '../../route/header-mutations.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import { parseLocalRateLimit } from './config.ts';
import type { LocalRateLimitConfig } from './config.ts';
import type { TokenBucket } from './token-bucket.ts';

const TYPE_URL = 'type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit';

/** Refuses requests over a rate of its own. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/local_rate_limit_filter */
export const localRateLimitFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.local_ratelimit',
  typeUrl: TYPE_URL,
  routeTypeUrl: TYPE_URL,
  parse: (_typeUrl, bytes) => parseLocalRateLimit(bytes),
  create(config, routeConfig) {
    const limit = (routeConfig ?? config) as LocalRateLimitConfig;
    return limit.bucket === undefined || limit.enabled === 0 ? undefined : new LocalRateLimitFilter(limit);
  },
};

class LocalRateLimitFilter implements HttpFilter {
  private readonly limited = new WeakSet<RequestHead>();
  private readonly perConnection = new WeakMap<Connection, TokenBucket>();

  constructor(private readonly limit: LocalRateLimitConfig) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    const { limit } = this;
    if (!hits(limit.enabled, context) || this.bucketOf(context).take(performance.now())) return CONTINUE;
    if (!hits(limit.enforced, context)) {
      if (limit.whenNotEnforced) applyHeaderMutations({ headers: head.headers }, limit.whenNotEnforced, {});
      return CONTINUE;
    }
    if (limit.onLimited) this.limited.add(head);
    return { kind: 'reply', reply: { status: limit.status, body: 'local_rate_limited', details: 'local_rate_limited', flag: 'RL', ...(limit.resourceExhausted && { grpcStatus: 8 }) } };
  }

  onResponse(head: ResponseHead, context: FilterContext): void {
    const { onLimited } = this.limit;
    if (onLimited && this.limited.has(context.request)) applyHeaderMutations({ headers: head.headers }, onLimited, {});
  }

  private bucketOf(context: FilterContext): TokenBucket {
    const { limit } = this;
    if (!limit.perConnection) return limit.shared!;
    const { connection } = context.info;
    let bucket = this.perConnection.get(connection);
    if (bucket === undefined) this.perConnection.set(connection, (bucket = limit.bucket!()));
    return bucket;
  }
}

function hits(fraction: number, context: FilterContext): boolean {
  return fraction >= 1 || (fraction > 0 && context.random() < fraction);
}
