import type { RequestHead } from '../../http/message.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import { parseFault } from './config.ts';
import type { FaultConfig } from './config.ts';

const TYPE_URL = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';

/** Delays and aborts requests by config. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/fault_filter */
export const faultFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.fault',
  typeUrl: TYPE_URL,
  routeTypeUrl: TYPE_URL,
  parse: (_typeUrl, bytes) => parseFault(bytes),
  create(config, routeConfig) {
    const fault = (routeConfig ?? config) as FaultConfig;
    return fault.delay === undefined && fault.abort === undefined ? undefined : new FaultFilter(fault);
  },
};

class FaultFilter implements HttpFilter {
  constructor(private readonly fault: FaultConfig) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    const { fault } = this;
    if (fault.upstreamCluster !== '' && fault.upstreamCluster !== context.destinationCluster) return CONTINUE;
    if (!fault.matches(head)) return CONTINUE;
    if (fault.delay === undefined || !this.hits(fault.delay.fraction, context)) return this.abort(context);
    const { delayMs } = fault.delay;
    context.addFlag('DI');
    context.stats.counters['fault.delays_injected']++;
    context.stats.gauges['fault.active_faults']++;
    return {
      kind: 'wait',
      start: (resume) => {
        const done = (): void => void context.stats.gauges['fault.active_faults']--;
        const timer = setTimeout(() => {
          done();
          resume(this.abort(context));
        }, delayMs).unref();
        return () => {
          clearTimeout(timer);
          done();
        };
      },
    };
  }

  private abort(context: FilterContext): FilterVerdict {
    const { abort } = this.fault;
    if (abort === undefined || !this.hits(abort.fraction, context)) return CONTINUE;
    context.stats.counters['fault.aborts_injected']++;
    return {
      kind: 'reply',
      reply: { status: abort.status, body: 'fault filter abort', details: 'fault_filter_abort', flag: 'FI', ...(abort.grpcStatus === undefined ? {} : { grpcStatus: abort.grpcStatus }) },
    };
  }

  private hits(fraction: number, context: FilterContext): boolean {
    if (fraction <= 0) return false;
    const { maxActiveFaults } = this.fault;
    if (maxActiveFaults !== undefined && context.stats.gauges['fault.active_faults'] >= maxActiveFaults) {
      context.stats.counters['fault.faults_overflow']++;
      return false;
    }
    return fraction >= 1 || context.random() < fraction;
  }
}
