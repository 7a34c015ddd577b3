import type { HcmRuntime } from '../config/runtime.ts';
import type { LocalReply } from '../filters/http-filter.ts';

const STREAM_IDLE: LocalReply = { status: 408, body: 'stream timeout', details: 'stream_idle_timeout', flag: 'SI' };

/** The downstream timeouts of one stream; none is armed unless configured, which Istio does not do by default. */
export class StreamTimers {
  private idle: NodeJS.Timeout | undefined;
  private request: NodeJS.Timeout | undefined;
  private whole: NodeJS.Timeout | undefined;

  constructor(hcm: HcmRuntime, private readonly onTimeout: (reply: LocalReply) => void) {
    if (hcm.streamIdleTimeoutMs > 0) this.idle = this.arm(hcm.streamIdleTimeoutMs, STREAM_IDLE);
    if (hcm.maxStreamDurationMs > 0) this.whole = this.arm(hcm.maxStreamDurationMs, { status: 408, body: 'downstream duration timeout', details: 'max_duration_timeout' });
    this.requestTimeoutMs = hcm.requestTimeoutMs;
  }

  private readonly requestTimeoutMs: number;

  /** The route has an idle timeout of its own; 0 = none. */
  routeIdle(timeoutMs: number): void {
    clearTimeout(this.idle);
    this.idle = timeoutMs > 0 ? this.arm(timeoutMs, STREAM_IDLE) : undefined;
  }

  /** The request is still coming. */
  start(): void {
    if (this.requestTimeoutMs > 0) this.request = this.arm(this.requestTimeoutMs, { status: 408, body: 'request timeout', details: 'request_overall_timeout' });
  }

  activity(): void {
    this.idle?.refresh();
  }

  requestComplete(): void {
    clearTimeout(this.request);
    this.activity();
  }

  stop(): void {
    clearTimeout(this.idle);
    clearTimeout(this.request);
    clearTimeout(this.whole);
  }

  private arm(delayMs: number, reply: LocalReply): NodeJS.Timeout {
    return setTimeout(() => this.onTimeout(reply), delayMs).unref();
  }
}
