import type { ProxyEnvironment } from '../environment.ts';
import { FieldHeaders } from '../http/field-headers.ts';
import type { RequestHead } from '../http/message.ts';
import type { RoutedRequest } from './routed-request.ts';
import { UpstreamAttempt } from './upstream-attempt.ts';

/** A mirrored body is kept until its connection is there; a longer one is not mirrored. @see Envoy retry_or_shadow_abandoned */
const MAX_BODY_BYTES = 1_048_576;
/** Nobody waits for the answer; this only frees the connection. */
const TIMEOUT_MS = 15_000;

/** A copy of a request whose answer nobody reads. */
export interface Mirror {
  onBody(buffer: Buffer, start: number, end: number): void;
  onEnd(): void;
  /** The request is answered; an incomplete copy is given up. */
  onRequestOver(complete: boolean): void;
}

/** Starts the mirrors that the route's fractions select. */
export function startMirrors(environment: ProxyEnvironment, request: RoutedRequest, end: boolean): readonly Mirror[] {
  const { mirrors } = request.action;
  if (mirrors.length === 0) return [];
  const started: Mirror[] = [];
  for (const { cluster: name, fraction } of mirrors) {
    const cluster = environment.clusters().get(name);
    if (cluster === undefined || environment.random() >= fraction) continue;
    const host = cluster.pick({ hashKey: undefined, previous: [], originalDestination: request.originalDestination, random: environment.random });
    if (host !== undefined) started.push(new MirroredRequest(environment, request, new Target(cluster, host), end));
  }
  return started;
}

class Target {
  constructor(
    readonly cluster: NonNullable<ReturnType<ReturnType<ProxyEnvironment['clusters']>['get']>>,
    readonly host: UpstreamAttempt['host'],
  ) {}
}

class MirroredRequest implements Mirror {
  private chunks: Buffer[] = [];
  private bytes = 0;
  private complete: boolean;
  private over = false;
  private readonly attempt: UpstreamAttempt;
  private readonly timer: NodeJS.Timeout;

  constructor(environment: ProxyEnvironment, request: RoutedRequest, target: Target, end: boolean) {
    const head = copyOf(request.head);
    this.complete = end;
    const finish = (): void => {
      this.over = true;
      clearTimeout(this.timer);
    };
    this.attempt = new UpstreamAttempt(target.cluster, target.host, {
      onReady: (attempt) => {
        attempt.begin(head, undefined, this.complete && this.bytes === 0);
        for (const chunk of this.chunks) attempt.stream?.sendBody(chunk, 0, chunk.length);
        if (this.complete && this.bytes > 0) attempt.sendEnd(undefined);
        this.chunks = [];
      },
      onInformational: () => {},
      onHead: (_attempt, _head, ended) => {
        if (ended) finish();
      },
      onBody: () => {},
      onEnd: finish,
      onLost: finish,
      onDrain: () => {},
    });
    this.timer = setTimeout(() => this.giveUp(), TIMEOUT_MS).unref();
    const http2 = target.cluster.protocol === 'http2' || (target.cluster.protocol === 'use-downstream' && head.protocol === 'HTTP/2');
    this.attempt.open(environment.pools.pool({ cluster: target.cluster, host: target.host, alpn: request.upstreamAlpn?.get(http2 ? 'http2' : 'http1'), serverName: undefined, proxied: undefined }, http2 ? 'http2' : 'http1'));
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    if (this.over) return;
    this.bytes += end - start;
    if (this.bytes > MAX_BODY_BYTES) {
      this.giveUp();
      return;
    }
    const copy = Buffer.from(buffer.subarray(start, end));
    if (this.attempt.stream === undefined) this.chunks.push(copy);
    else this.attempt.stream.sendBody(copy, 0, copy.length);
  }

  onEnd(): void {
    if (this.over || this.complete) return;
    this.complete = true;
    if (this.attempt.stream !== undefined) this.attempt.sendEnd(undefined);
  }

  onRequestOver(complete: boolean): void {
    if (!complete && !this.complete) this.giveUp();
  }

  private giveUp(): void {
    this.over = true;
    clearTimeout(this.timer);
    this.attempt.cancel();
  }
}

/** The head with `-shadow` at its authority, as Envoy marks mirrored requests. */
function copyOf(head: RequestHead): RequestHead {
  const port = /:\d+$/.exec(head.authority)?.[0] ?? '';
  return { ...head, authority: `${head.authority.slice(0, head.authority.length - port.length)}-shadow${port}`, headers: FieldHeaders.of(head.headers.entries()) };
}
