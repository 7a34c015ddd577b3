import type { ProxyEnvironment } from '../environment.ts';
import type { SideCall, SideRequest, SideResult } from '../filters/side-call.ts';
import { UpstreamAttempt } from './upstream-attempt.ts';

/** Calls of filters, over the clusters and pools that requests use: mutual TLS, balancing and breakers hold for them too. One try. */
export function sideCalls(environment: ProxyEnvironment): SideCall {
  return (request, done) => new Call(environment, request, done).start();
}

class Call {
  private attempt: UpstreamAttempt | undefined;
  private timer: NodeJS.Timeout | undefined;
  private over = false;
  private head: Extract<SideResult, { kind: 'response' }>['head'] | undefined;
  private readonly chunks: Buffer[] = [];
  private bytes = 0;

  constructor(
    private readonly environment: ProxyEnvironment,
    private readonly request: SideRequest,
    private readonly done: (result: SideResult) => void,
  ) {}

  start(): () => void {
    const { environment, request } = this;
    const { head, body } = request;
    const cluster = environment.clusters().get(request.cluster);
    const host = cluster?.pick({ hashKey: undefined, previous: [], originalDestination: undefined, random: environment.random });
    if (cluster === undefined || host === undefined) {
      const timer = setImmediate(() => this.fail(cluster === undefined ? `there is no cluster ${request.cluster}` : 'no healthy upstream'));
      return () => clearImmediate(timer);
    }
    const http2 = cluster.protocol === 'http2' || (cluster.protocol === 'use-downstream' && head.protocol === 'HTTP/2');
    const attempt = new UpstreamAttempt(cluster, host, {
      onReady: (ready) => {
        ready.begin(head, undefined, body.length === 0);
        if (body.length === 0 || ready.stream === undefined) return;
        ready.stream.sendBody(body, 0, body.length);
        ready.sendEnd(undefined);
      },
      onInformational: () => {},
      onHead: (_attempt, received, end) => {
        this.head = received;
        if (end) this.finish(undefined);
      },
      onBody: (buffer, start, end) => this.onBody(buffer, start, end),
      onEnd: (trailers) => this.finish(trailers),
      onLost: (_attempt, reason, failure) => this.fail(failure === '' ? reason : `${reason}: ${failure}`),
      onDrain: () => {},
    });
    this.attempt = attempt;
    this.timer = setTimeout(() => {
      cluster.stats.counters.upstream_rq_timeout++;
      this.abort('timeout');
    }, request.timeoutMs).unref();
    attempt.open(environment.pools.pool({ cluster, host, alpn: undefined, serverName: undefined, proxied: undefined }, http2 ? 'http2' : 'http1'));
    return () => {
      this.end();
      attempt.cancel();
    };
  }

  private onBody(buffer: Buffer, start: number, end: number): void {
    if (this.over) return;
    this.bytes += end - start;
    if (this.bytes > this.request.maxResponseBytes) this.abort('the answer is too long');
    else this.chunks.push(Buffer.from(buffer.subarray(start, end)));
  }

  private abort(reason: string): void {
    this.attempt?.cancel({ kind: 'timeout' });
    this.fail(reason);
  }

  private finish(trailers: Extract<SideResult, { kind: 'response' }>['trailers']): void {
    if (this.over) return;
    this.end();
    this.done({ kind: 'response', head: this.head!, body: Buffer.concat(this.chunks), trailers });
  }

  private fail(reason: string): void {
    if (this.over) return;
    this.end();
    this.done({ kind: 'failure', reason });
  }

  private end(): void {
    this.over = true;
    clearTimeout(this.timer);
  }
}
