import type { DescriptorEntry } from '../../route/rate-limits.ts';
import type { RequestHead, ResponseHead } from '../../http/message.ts';
import type { Connection } from '../../io/connection.ts';
import { applyHeaderMutations } from '../../route/header-mutations.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import { parseLocalRateLimit } from './config.ts';
import type { LocalRateLimitConfig } from './config.ts';
import type { Limits } from './limits.ts';
import type { TokenBucket } from '../token-bucket.ts';

const TYPE_URL = 'type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit';

/** Refuses requests over a rate of its own. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/local_rate_limit_filter */
export const localRateLimitFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.local_ratelimit',
  typeUrl: TYPE_URL,
  routeTypeUrl: TYPE_URL,
  parse: (_typeUrl, bytes) => parseLocalRateLimit(bytes),
  create(config, routeConfig) {
    const limit = (routeConfig ?? config) as LocalRateLimitConfig;
    return limit.make === undefined || limit.enabled === 0 ? undefined : new LocalRateLimitFilter(limit);
  },
};

class LocalRateLimitFilter implements HttpFilter {
  private readonly limited = new WeakSet<RequestHead>();
  private readonly counted = new WeakMap<RequestHead, TokenBucket>();
  private readonly perConnection = new WeakMap<Connection, Limits>();

  constructor(private readonly limit: LocalRateLimitConfig) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    const { limit } = this;
    if (!hits(limit.enabled, context)) return CONTINUE;
    const { allowed, bucket } = this.limitsOf(context).take(limit.described ? this.descriptorsOf(head, context) : [], performance.now());
    if (limit.tellsLimits && bucket !== undefined) this.counted.set(head, bucket);
    if (allowed) return CONTINUE;
    if (!hits(limit.enforced, context)) {
      if (limit.whenNotEnforced) applyHeaderMutations({ headers: head.headers }, limit.whenNotEnforced, {});
      return CONTINUE;
    }
    if (limit.onLimited) this.limited.add(head);
    return { kind: 'reply', reply: { status: limit.status, body: 'local_rate_limited', details: 'local_rate_limited', flag: 'RL', ...(limit.resourceExhausted && { grpcStatus: 8 }) } };
  }

  onResponse(head: ResponseHead, context: FilterContext): void {
    const { onLimited, tellsLimits } = this.limit;
    if (onLimited && this.limited.has(context.request)) applyHeaderMutations({ headers: head.headers }, onLimited, {});
    const bucket = tellsLimits ? this.counted.get(context.request) : undefined;
    if (bucket === undefined) return;
    head.headers.set('x-ratelimit-limit', String(bucket.maxTokens));
    head.headers.set('x-ratelimit-remaining', String(bucket.remaining(performance.now())));
    head.headers.set('x-ratelimit-reset', String(bucket.resetSeconds));
  }

  private descriptorsOf(head: RequestHead, context: FilterContext): (readonly DescriptorEntry[])[] {
    const input = { head, sourceIp: context.sourceIp, destinationCluster: context.destinationCluster, sourceCluster: context.node.cluster };
    return (context.route?.rateLimits ?? []).flatMap(({ stage, descriptor }) => {
      const entries = stage === this.limit.stage ? descriptor(input) : undefined;
      return entries === undefined ? [] : [entries];
    });
  }

  private limitsOf(context: FilterContext): Limits {
    const { limit } = this;
    if (!limit.perConnection) return limit.shared!;
    const { connection } = context.info;
    let limits = this.perConnection.get(connection);
    if (limits === undefined) this.perConnection.set(connection, (limits = limit.make!()));
    return limits;
  }
}
function hits(fraction: number, context: FilterContext): boolean {
  return fraction >= 1 || (fraction > 0 && context.random() < fraction);
}
