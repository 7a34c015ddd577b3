import type { ResponseFlag } from '../../telemetry/traffic-record.ts';
import type { Host, Permit } from '../cluster/cluster.ts';
import type { ProxyEnvironment } from '../environment.ts';
import type { LocalReply } from '../filters/http-filter.ts';
import type { HeaderMap, ResponseHead } from '../http/message.ts';
import type { ResetReason } from '../http/stream.ts';
import { startMirrors } from './mirror.ts';
import type { Mirror } from './mirror.ts';
import { prepareRequest, timeoutOf } from './prepare-request.ts';
import { proxiedAddresses } from './proxy-header.ts';
import { RequestBody } from './request-body.ts';
import { flagOf, resetDetails, resetReply } from './reset-reply.ts';
import { RawPool, rawAlpn } from './raw-pool.ts';
import { retriesReset, retriesResponse, retriesTimeout, retryDelayMs } from './retry-decision.ts';
import type { RoutedRequest } from './routed-request.ts';
import { UpstreamAttempt } from './upstream-attempt.ts';
import type { AttemptOwner } from './upstream-attempt.ts';

/** The downstream side of a forwarded request. */
export interface RouterOwner {
  onInformational(head: ResponseHead): void;
  onHead(head: ResponseHead, end: boolean): void;
  onResponseBody(buffer: Buffer, start: number, end: number): void;
  onResponseEnd(trailers: HeaderMap | undefined): void;
  /** The response cannot be finished. */
  onAbort(flag: ResponseFlag, details: string): void;
  /** `byRoute`: the route's response headers apply. */
  onLocalReply(reply: LocalReply, byRoute?: boolean): void;
  addFlag(flag: ResponseFlag): void;
  pauseRequest(): void;
  resumeRequest(): void;
}

const NO_HOSTS: readonly Host[] = [];
const NO_MIRRORS: readonly Mirror[] = [];

/** Forwards one request: picks hosts, tries and tries again, keeps the time. @see Envoy router.cc */
export class Router implements AttemptOwner {
  attempts = 0;
  host: Host | undefined;
  localAddress = '';
  peerPrincipal = '';
  localPrincipal = '';
  transportFailure = '';
  /** When the response's first byte came, by performance.now(); 0 = none. */
  firstByteAt = 0;
  private attempt: UpstreamAttempt | undefined;
  private readonly body: RequestBody;
  private previous: readonly Host[] = NO_HOSTS;
  private mirrors: readonly Mirror[] = NO_MIRRORS;
  private requestComplete = false;
  private trailers: HeaderMap | undefined;
  private requestCompleteAt = 0;
  private headSent = false;
  private over = false;
  private globalTimer: NodeJS.Timeout | undefined;
  private tryTimer: NodeJS.Timeout | undefined;
  private durationTimer: NodeJS.Timeout | undefined;
  private backoffTimer: NodeJS.Timeout | undefined;
  private retryPermit: Permit | undefined;
  private readonly timeoutMs: number;
  private hashKey: string | undefined;

  constructor(
    private readonly environment: ProxyEnvironment,
    private readonly owner: RouterOwner,
    readonly request: RoutedRequest,
  ) {
    this.timeoutMs = timeoutOf(request.head, request.action, request.grpc);
    this.body = new RequestBody(request.action.retry !== undefined && request.upgrade === undefined && request.head.method !== 'CONNECT');
  }

  /** Sends the head on its way; `end`: there is no body. */
  start(end: boolean): void {
    const { head, entry, action, choice, sourceIp, known } = this.request;
    const hash = action.hash?.(head, sourceIp);
    this.hashKey = hash?.key;
    this.setCookie = hash?.setCookie;
    prepareRequest(head, entry, action, choice, known);
    if (this.timeoutMs > 0) head.headers.put('x-envoy-expected-rq-timeout-ms', String(Math.ceil(this.timeoutMs)));
    this.request.inject?.(head);
    if (action.maxStreamDurationMs > 0) this.durationTimer = setTimeout(() => this.onTooLong(), action.maxStreamDurationMs).unref();
    if (action.mirrors.length > 0) this.mirrors = startMirrors(this.environment, this.request, end);
    if (end) this.completeRequest(undefined);
    this.tryOnce();
  }

  /** Affinity cookie to give to the client, when the hash policy made one. */
  setCookie: string | undefined;

  onRequestBody(buffer: Buffer, start: number, end: number): void {
    if (this.over) return;
    for (const mirror of this.mirrors) mirror.onBody(buffer, start, end);
    const { attempt } = this;
    const open = attempt?.stream;
    const kept = this.body.add(buffer, start, end, open === undefined);
    if (kept === 'overflow') this.environment.clusters().get(this.request.cluster.name)!.stats.counters.retry_or_shadow_abandoned++;
    if (open !== undefined) {
      if (!open.sendBody(buffer, start, end)) this.owner.pauseRequest();
    } else if (this.body.tooMuchWaiting) this.owner.pauseRequest();
  }

  onRequestEnd(trailers: HeaderMap | undefined): void {
    if (this.over || this.requestComplete) return;
    for (const mirror of this.mirrors) mirror.onEnd();
    this.completeRequest(trailers);
    if (this.attempt?.stream !== undefined) {
      this.attempt.sendEnd(trailers);
      this.armTryTimer();
    }
  }

  /** The client can take more. */
  onDownstreamDrain(): void {
    this.attempt?.stream?.resumeBody();
  }

  pauseResponse(): void {
    this.attempt?.stream?.pauseBody();
  }

  /** The client is gone or has been answered otherwise. */
  cancel(): void {
    if (this.over) return;
    this.finish();
    this.attempt?.cancel();
  }

  private completeRequest(trailers: HeaderMap | undefined): void {
    this.requestComplete = true;
    this.trailers = trailers;
    this.requestCompleteAt = performance.now();
    if (this.timeoutMs > 0) this.globalTimer = setTimeout(() => this.onTimeout('response_timeout'), this.timeoutMs).unref();
  }

  private tryOnce(): void {
    const { cluster, head, upstreamAlpn, originalDestination, action } = this.request;
    const avoid = action.retry?.avoidPreviousHosts === true ? this.previous : NO_HOSTS;
    this.attempts++;
    const host = cluster.pick({ hashKey: this.hashKey, previous: avoid, originalDestination, random: this.environment.random });
    if (host === undefined) {
      cluster.stats.counters.upstream_cx_none_healthy++;
      this.reply({ status: 503, body: 'no healthy upstream', details: 'no_healthy_upstream', flag: 'UH' });
      return;
    }
    this.host = host;
    this.transportFailure = '';
    if (this.request.entry.attemptCount.request) head.headers.put('x-envoy-attempt-count', String(this.attempts));
    const http2 = cluster.protocol === 'http2' || (cluster.protocol === 'use-downstream' && head.protocol === 'HTTP/2');
    const { tls, proxyProtocol } = cluster.transportFor(host);
    const serverName = tls?.autoSni === true ? withoutPort(head.authority) : undefined;
    const proxied = proxyProtocol && proxiedAddresses(this.request.info);
    const attempt = new UpstreamAttempt(cluster, host, this);
    this.attempt = attempt;
    if (action.terminateConnect !== undefined && (head.method === 'CONNECT' || (head.method === 'POST' && action.terminateConnect.andPost))) {
      attempt.open(new RawPool({ cluster, host, alpn: rawAlpn(tls?.alpn), serverName, proxied }, this.environment.contexts));
      return;
    }
    attempt.open(this.environment.pools.pool({ cluster, host, alpn: upstreamAlpn?.get(http2 ? 'http2' : 'http1'), serverName, proxied }, http2 ? 'http2' : 'http1'));
  }

  onReady(attempt: UpstreamAttempt): void {
    const { head, upgrade } = this.request;
    const connection = attempt.connection!;
    this.localAddress = connection.localAddress;
    this.peerPrincipal = connection.peer?.uriSans[0] ?? '';
    this.localPrincipal = connection.localUriSan;
    const bare = this.requestComplete && this.body.empty && this.trailers === undefined;
    attempt.begin(head, upgrade, bare);
    if (attempt.stream === undefined || this.over) return;
    let open = true;
    for (const chunk of this.body.take()) open = attempt.stream.sendBody(chunk, 0, chunk.length);
    if (this.requestComplete) {
      if (!bare) attempt.sendEnd(this.trailers);
      this.armTryTimer();
    } else if (open) this.owner.resumeRequest();
  }

  onDrain(): void {
    this.owner.resumeRequest();
  }

  onInformational(head: ResponseHead): void {
    if (!this.over) this.owner.onInformational(head);
  }

  onHead(attempt: UpstreamAttempt, head: ResponseHead, end: boolean): void {
    if (this.over) return;
    if (this.tryTimer !== undefined) clearTimeout(this.tryTimer);
    const policy = this.request.action.retry;
    if (policy !== undefined) {
      const again = retriesResponse(policy, head);
      if (again && this.tryAgain(attempt)) return;
      if (!again && this.attempts > 1) this.request.cluster.stats.counters.upstream_rq_retry_success++;
    }
    this.firstByteAt = performance.now();
    this.headSent = true;
    this.body.drop();
    // Counted from the request's end: an answer that comes before it has no such time.
    if (this.requestComplete) head.headers.put('x-envoy-upstream-service-time', String(Math.max(0, Math.round(this.firstByteAt - this.requestCompleteAt))));
    if (end) this.finish();
    this.owner.onHead(head, end);
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    if (!this.over) this.owner.onResponseBody(buffer, start, end);
  }

  onEnd(trailers: HeaderMap | undefined): void {
    if (this.over) return;
    this.finish();
    this.owner.onResponseEnd(trailers);
  }

  onLost(attempt: UpstreamAttempt, reason: ResetReason, transportFailure: string): void {
    if (this.over || attempt !== this.attempt) return;
    clearTimeout(this.tryTimer);
    this.transportFailure = transportFailure;
    // A request that no pool took has no upstream host.
    if (reason === 'overflow') this.host = undefined;
    if (this.headSent) {
      this.finish();
      this.owner.onAbort(flagOf(reason), `upstream_reset_after_response_started{${resetDetails(reason, transportFailure)}}`);
      return;
    }
    const policy = this.request.action.retry;
    if (policy !== undefined && retriesReset(policy, reason, attempt.stream !== undefined) && this.tryAgain(attempt)) return;
    this.reply(resetReply(reason, transportFailure, this.attempts > 1));
  }

  /** Schedules another try when policy and breaker allow it. */
  private tryAgain(attempt: UpstreamAttempt): boolean {
    const policy = this.request.action.retry!;
    const { cluster } = this.request;
    const { counters } = cluster.stats;
    if (this.body.abandoned) return false;
    if (this.attempts > policy.numRetries) {
      counters.upstream_rq_retry_limit_exceeded++;
      this.owner.addFlag('URX');
      return false;
    }
    const permit = cluster.admit('retry');
    if (permit === undefined) {
      counters.upstream_rq_retry_overflow++;
      this.owner.addFlag('UO');
      return false;
    }
    counters.upstream_rq_retry++;
    counters.upstream_rq_retry_backoff_exponential++;
    this.previous = [...this.previous, attempt.host];
    attempt.cancel();
    this.attempt = undefined;
    // Held until the retry has its own answer: the breaker counts retries in flight.
    this.retryPermit?.release();
    this.retryPermit = permit;
    this.backoffTimer = setTimeout(() => this.tryOnce(), retryDelayMs(policy, this.attempts, this.environment.random())).unref();
    return true;
  }

  private armTryTimer(): void {
    const timeoutMs = this.request.action.retry?.perTryTimeoutMs ?? 0;
    // A try as long as the whole request is no limit of its own.
    if (timeoutMs <= 0 || (this.timeoutMs > 0 && timeoutMs >= this.timeoutMs) || this.headSent) return;
    clearTimeout(this.tryTimer);
    this.tryTimer = setTimeout(() => this.onTryTimeout(), timeoutMs).unref();
  }

  private onTryTimeout(): void {
    const { attempt } = this;
    if (attempt === undefined || this.over || this.headSent) return;
    const { cluster, action } = this.request;
    cluster.stats.counters.upstream_rq_per_try_timeout++;
    cluster.report(attempt.host, { kind: 'timeout' });
    if (action.retry !== undefined && retriesTimeout(action.retry) && this.tryAgain(attempt)) return;
    attempt.cancel();
    this.reply({ status: 504, body: 'upstream request timeout', details: 'upstream_per_try_timeout', flag: 'UT' });
  }

  private onTimeout(details: string): void {
    if (this.over) return;
    const { cluster } = this.request;
    cluster.stats.counters.upstream_rq_timeout++;
    const { attempt } = this;
    if (this.headSent) {
      this.finish();
      attempt?.cancel();
      this.owner.onAbort('UT', details);
      return;
    }
    attempt?.cancel({ kind: 'timeout' });
    this.reply({ status: 504, body: 'upstream request timeout', details, flag: 'UT' });
  }

  /** The stream has lived as long as its route allows. */
  private onTooLong(): void {
    if (this.over) return;
    this.request.cluster.stats.counters.upstream_rq_max_duration_reached++;
    const { attempt } = this;
    const details = 'upstream_max_stream_duration_reached';
    if (this.headSent) {
      this.finish();
      attempt?.cancel();
      this.owner.onAbort('UMSDR', details);
      return;
    }
    attempt?.cancel();
    this.reply({ status: 504, body: 'upstream max stream duration reached', details, flag: 'UMSDR' });
  }

  private reply(reply: LocalReply): void {
    this.finish();
    // Envoy charges its own answers to the cluster like the upstream's.
    this.request.cluster.stats.response(reply.status);
    this.request.cluster.stats.counters.upstream_rq_completed++;
    this.owner.onLocalReply(reply, true);
  }

  private finish(): void {
    this.over = true;
    clearTimeout(this.globalTimer);
    clearTimeout(this.tryTimer);
    clearTimeout(this.durationTimer);
    clearTimeout(this.backoffTimer);
    this.retryPermit?.release();
    this.retryPermit = undefined;
    for (const mirror of this.mirrors) mirror.onRequestOver(this.requestComplete);
    this.body.drop();
  }
}

/** The host of an authority, for SNI. */
function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(':');
  return colon > authority.lastIndexOf(']') ? authority.slice(0, colon) : authority;
}
