/** A bounded HTTP load generator: a fixed number of requests per second over a few connections, for a fixed time. */
import { Agent, request, type IncomingMessage } from 'node:http';
import { messageOf } from '../../base/errors.ts';

export interface LoadOptions {
  readonly url: URL;
  /** Requests per second over all connections; 0 = as fast as the answers come. */
  readonly requestsPerSecond: number;
  readonly connections: number;
  readonly durationMs: number;
  /** Stops earlier after so many requests; 0 = no such bound. */
  readonly maxRequests: number;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** Hard limits: no option goes beyond them, so that a typo cannot become an attack. */
export const LIMITS = { maxDurationMs: 3_600_000, maxConnections: 512, maxRequestsPerSecond: 50_000 } as const;

export interface LoadNumbers {
  readonly seconds: number;
  readonly requests: number;
  readonly perSecond: number;
  /** Requests without any answer. */
  readonly errors: number;
  /** Why, and how often: the first ten different reasons. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Answers by status code. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly latencyMs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
}

class Recorder {
  requests = 0;
  errors = 0;
  readonly statuses = new Map<number, number>();
  private readonly reasons = new Map<string, number>();
  private readonly latencies: number[] = [];

  record(result: number | string, latencyMs: number): void {
    this.requests++;
    if (typeof result === 'number') this.statuses.set(result, (this.statuses.get(result) ?? 0) + 1);
    else {
      this.errors++;
      const reason = this.reasons.has(result) || this.reasons.size < 10 ? result : 'other reasons';
      this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
    }
    // A reservoir keeps memory flat: beyond its size a new value replaces a random one.
    if (this.latencies.length < 100_000) this.latencies.push(latencyMs);
    else this.latencies[Math.floor(Math.random() * this.latencies.length)] = latencyMs;
  }

  numbers(elapsedMs: number): LoadNumbers {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    const quantile = (fraction: number) => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? 0);
    return {
      seconds: round(elapsedMs / 1000), requests: this.requests, perSecond: round((this.requests * 1000) / Math.max(1, elapsedMs)), errors: this.errors, reasons: Object.fromEntries(this.reasons),
      statuses: Object.fromEntries([...this.statuses].sort(([a], [b]) => a - b).map(([status, count]) => [String(status), count])),
      latencyMs: { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99), max: round(sorted.at(-1) ?? 0) },
    };
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Runs until a bound is reached or the signal aborts; `onProgress` is called every second. */
export async function runLoad(options: LoadOptions, onProgress: (numbers: LoadNumbers) => void, signal: AbortSignal): Promise<LoadNumbers> {
  const recorder = new Recorder();
  const agent = new Agent({ keepAlive: true, maxSockets: options.connections });
  const from = performance.now();
  const elapsed = () => performance.now() - from;
  let started = 0;
  const mayStart = () => !signal.aborted && elapsed() < options.durationMs && (options.maxRequests === 0 || started < options.maxRequests);
  const ticker = setInterval(() => onProgress(recorder.numbers(elapsed())), 1000);

  const worker = async () => {
    while (mayStart()) {
      const index = started++;
      const dueMs = options.requestsPerSecond > 0 ? (index * 1000) / options.requestsPerSecond : 0;
      const waitMs = dueMs - elapsed();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, Math.max(0, options.durationMs - elapsed()))));
      if (signal.aborted || elapsed() >= options.durationMs) return;
      const sent = performance.now();
      const result = await exchange(options, agent);
      recorder.record(result, performance.now() - sent);
    }
  };
  try {
    await Promise.all(Array.from({ length: options.connections }, worker));
  } finally {
    clearInterval(ticker);
    agent.destroy();
  }
  return recorder.numbers(elapsed());
}

/** Status of one exchange, or why there was no answer. */
function exchange(options: LoadOptions, agent: Agent): Promise<number | string> {
  return new Promise((resolve) => {
    const outgoing = request(options.url, { agent, method: options.method, headers: options.headers, timeout: options.timeoutMs }, (answer: IncomingMessage) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
      answer.on('error', (error) => resolve(`the answer ended early: ${messageOf(error)}`));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`timed out after ${options.timeoutMs} ms`)));
    outgoing.on('error', (error) => resolve(messageOf(error)));
    outgoing.end();
  });
}
