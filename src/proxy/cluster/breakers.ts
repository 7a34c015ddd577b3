/** Circuit breakers of one cluster (default priority). */
import type { Permit } from './cluster.ts';

export type BreakerResource = 'connection' | 'pending' | 'request' | 'retry';

/** @see envoy.config.cluster.v3.CircuitBreakers.Thresholds */
export interface BreakerLimits {
  /** Default 1024. */
  readonly connection: number;
  /** Default 1024. */
  readonly pending: number;
  /** Default 1024. */
  readonly request: number;
  /** Default 3. */
  readonly retry: number;
  /** Replaces `retry`: share of active and pending requests that may be retries. */
  readonly retryBudget: { readonly fraction: number; readonly minimum: number } | undefined;
  readonly trackRemaining: boolean;
}

/** Envoy's short names in `circuit_breakers.default.<x>_open`. */
const SHORT = { connection: 'cx', pending: 'rq_pending', request: 'rq', retry: 'rq_retry' } as const;

const RESOURCES = ['connection', 'pending', 'request', 'retry'] as const;

/** Counts what is in use; limits may change while it runs. */
export class CircuitBreakers {
  private readonly used: Record<BreakerResource, number> = { connection: 0, pending: 0, request: 0, retry: 0 };
  /** One permit per resource is enough: a permit is nothing but the duty to count down. */
  private readonly permits: Readonly<Record<BreakerResource, Permit>>;

  constructor(public limits: BreakerLimits) {
    const permit = (resource: BreakerResource): Permit => ({ release: () => void this.used[resource]-- });
    this.permits = { connection: permit('connection'), pending: permit('pending'), request: permit('request'), retry: permit('retry') };
  }

  /** Undefined when the breaker is open; the data path counts the overflow where it knows what it meant. */
  admit(resource: BreakerResource): Permit | undefined {
    if (this.used[resource] >= this.limitOf(resource)) return undefined;
    this.used[resource]++;
    return this.permits[resource];
  }

  /** `circuit_breakers.default.cx_open` → 0 or 1, and `remaining_*` when tracked. */
  gauges(): ReadonlyMap<string, number> {
    const gauges = new Map<string, number>();
    for (const resource of RESOURCES) gauges.set(`circuit_breakers.default.${SHORT[resource]}_open`, this.used[resource] >= this.limitOf(resource) ? 1 : 0);
    if (this.limits.trackRemaining) for (const resource of RESOURCES) gauges.set(`circuit_breakers.default.remaining_${resource === 'retry' ? 'retries' : SHORT[resource]}`, Math.max(0, this.limitOf(resource) - this.used[resource]));
    return gauges;
  }

  private limitOf(resource: BreakerResource): number {
    const { retryBudget } = this.limits;
    if (resource !== 'retry' || !retryBudget) return this.limits[resource];
    return Math.max(retryBudget.minimum, Math.floor((this.used.request + this.used.pending) * retryBudget.fraction));
  }
}
