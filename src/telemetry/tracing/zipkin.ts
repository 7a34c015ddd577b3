/** Spans to a Zipkin collector: batched, bounded, never in the way of traffic. */
import { request } from 'node:http';
import type { Clock, Timer } from '../../base/clock.ts';
import type { FinishedSpan } from './span.ts';

/** Sends one batch; rejects when it could not be delivered. */
export type SendBatch = (json: string) => Promise<void>;

export interface SpanExporterOptions {
  readonly clock: Clock;
  readonly send: SendBatch;
  /** Default 5000, Envoy's `tracing.zipkin.flush_interval_ms`. */
  readonly flushMs?: number;
  /** A batch goes as soon as it has this many. Default 100. */
  readonly batchSpans?: number;
  /** Spans waiting beyond this are dropped. Default 10 000. */
  readonly maxSpans?: number;
}

/** Collects spans and posts them one batch at a time; a failed batch is dropped and counted, not tried again. */
export class ZipkinExporter {
  sent = 0;
  dropped = 0;
  private waiting: FinishedSpan[] = [];
  private timer: Timer | undefined;
  private sending = false;

  constructor(private readonly options: SpanExporterOptions) {}

  report(span: FinishedSpan): void {
    const { clock, flushMs = 5000, batchSpans = 100, maxSpans = 10_000 } = this.options;
    if (this.waiting.length >= maxSpans) {
      this.dropped++;
      return;
    }
    this.waiting.push(span);
    if (this.waiting.length >= batchSpans) void this.flush();
    else this.timer ??= clock.after(flushMs, () => void this.flush());
  }

  /** Sends what waits; resolves when this batch is through or lost. */
  async flush(): Promise<void> {
    this.timer?.cancel();
    this.timer = undefined;
    if (this.sending || this.waiting.length === 0) return;
    const batch = this.waiting.splice(0, this.options.batchSpans ?? 100);
    this.sending = true;
    try {
      await this.options.send(encodeZipkin(batch));
      this.sent += batch.length;
    } catch {
      this.dropped += batch.length;
    } finally {
      this.sending = false;
    }
    if (this.waiting.length > 0) this.timer ??= this.options.clock.after(this.waiting.length >= (this.options.batchSpans ?? 100) ? 0 : (this.options.flushMs ?? 5000), () => void this.flush());
  }
}

/** Zipkin's v2 JSON. @see https://zipkin.io/zipkin-api/#/default/post_spans */
export function encodeZipkin(spans: readonly FinishedSpan[]): string {
  return JSON.stringify(
    spans.map((span) => ({
      traceId: span.traceId,
      id: span.spanId,
      ...(span.parentSpanId && { parentId: span.parentSpanId }),
      kind: span.kind === 'client' ? 'CLIENT' : 'SERVER',
      name: span.name,
      timestamp: Math.round(span.startMs * 1000),
      duration: Math.max(1, Math.round(span.durationMs * 1000)),
      localEndpoint: { serviceName: span.service, ...(span.localIp && (span.localIp.includes(':') ? { ipv6: span.localIp } : { ipv4: span.localIp })) },
      // Envoy notes when a server had sent and a client had received.
      annotations: [{ timestamp: Math.round((span.startMs + span.durationMs) * 1000), value: span.kind === 'client' ? 'cr' : 'ss' }],
      tags: Object.fromEntries(span.tags),
      ...(span.shared && { shared: true }),
    })),
  );
}

/** Where a batch is posted to; undefined while nobody is there. */
export interface CollectorAddress {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** `Host` header. */
  readonly authority: string;
}

/** Posts batches over plain HTTP, two seconds at most each. */
export function httpSender(address: () => CollectorAddress | undefined): SendBatch {
  return (json) =>
    new Promise((resolve, reject) => {
      const to = address();
      if (!to) return reject(new Error('no collector'));
      const outgoing = request({ host: to.host, port: to.port, path: to.path, method: 'POST', timeout: 2000, agent: false, headers: { host: to.authority, 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) } }, (response) => {
        response.resume();
        if ((response.statusCode ?? 500) < 300) resolve();
        else reject(new Error(`collector answered ${response.statusCode}`));
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error('collector timed out')));
      outgoing.on('error', reject);
      outgoing.end(json);
    });
}
