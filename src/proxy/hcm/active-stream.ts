import type { PeerMetadata, ResponseFlag, TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { Span } from '../config/runtime.ts';
import type { BodyAccess, BodyExit, BodyTransform, FilterContext, FilterVerdict, LocalReply } from '../filters/http-filter.ts';
import { FieldHeaders } from '../http/field-headers.ts';
import type { HeaderMap, ResponseHead } from '../http/message.ts';
import type { BodyReceiver, ResetReason, ServerStream } from '../http/stream.ts';
import { chooseCluster } from '../route/choose-cluster.ts';
import { applyHeaderMutations } from '../route/header-mutations.ts';
import type { RouteEntry, RouteLookup } from '../route/route-table.ts';
import type { ForwardAction } from '../router/prepare-request.ts';
import { Router } from '../router/router.ts';
import type { RouterOwner } from '../router/router.ts';
import { isGrpc, localResponse } from './local-reply.ts';
import { BodyChain } from './body-chain.ts';
import { BodyHold } from './body-hold.ts';
import { NO_FILTERS } from './filter-chain.ts';
import { ResponseFilters } from './response-filters.ts';
import { StreamBodies } from './stream-bodies.ts';
import type { HttpConnectionInfo } from './connection-info.ts';
import { allowsUpgrade, refuseRequest } from './request-check.ts';
import { receiveRequestHeaders } from './request-headers.ts';
import type { RequestSource } from './request-headers.ts';
import { nameSpan } from './stream-span.ts';
import { StreamFacts } from './stream-facts.ts';
import type { HcmEnvironment } from './stream-facts.ts';
import { finishResponseHeaders } from './response-headers.ts';
import { directReply, tlsRedirectReply } from './route-reply.ts';
import { StreamTimers } from './stream-timers.ts';
import { recordOf } from './stream-record.ts';

const NOTHING_KNOWN: Partial<TrafficRecord> = {};

/**
 * One request from its head to its record: checks and header rules, route, filters, router, response. The way is {@link start} → runFilters → dispatch
 * → onHead/onLocalReply → finish, read from top to bottom.
 */
export class ActiveStream extends StreamFacts implements BodyReceiver, RouterOwner, FilterContext {
  readonly startMs = Date.now();
  readonly startedAt = performance.now();
  grpc: boolean;
  route: RouteEntry | undefined;
  router: Router | undefined;
  response: ResponseHead | undefined;
  trailers: HeaderMap | undefined;
  details = 'via_upstream';
  bytesReceived = 0;
  bytesSent = 0;
  requestEndedAt = 0;
  /** Cluster of the route, '' when there is none of that name. */
  clusterName = '';
  /** As the client sent it; rewrites change the head. */
  readonly originalPath: string;
  upstreamAlpn: FilterContext['upstreamAlpn'];
  peer: PeerMetadata | undefined;
  peerExchanged = false;
  dynamicDestination: string | undefined;
  private filters = NO_FILTERS;
  private cancelWait: (() => void) | undefined;
  /** What came of the request's body before it was forwarded. */
  private early: BodyHold | undefined;
  /** Made for the first response that filters look at. */
  private responses: ResponseFilters | undefined;
  private streamBodies: BodyAccess | undefined;
  /** Set while filters change bodies as they pass. */
  private incoming: BodyChain | undefined;
  private outgoing: BodyChain | undefined;
  private requestEnded: boolean;
  private requestTrailers: HeaderMap | undefined;
  private over = false;
  private span: Span | undefined;
  private requestId: string | undefined;
  /** Made when there is something to time. */
  private timers: StreamTimers | undefined;
  /** The virtual host wants TLS. */
  private toTls = false;

  constructor(
    environment: HcmEnvironment,
    info: HttpConnectionInfo,
    readonly stream: ServerStream,
    end: boolean,
    peer: RequestSource,
  ) {
    super(environment, info, stream.head, peer);
    this.originalPath = stream.head.path;
    this.requestEnded = end;
    this.grpc = isGrpc(stream.head);
    const { stats } = environment;
    stats.counters.downstream_rq_total++;
    stats.gauges.downstream_rq_active++;
    if (stream.head.protocol === 'HTTP/2') stats.counters.downstream_rq_http2_total++;
    else stats.counters.downstream_rq_http1_total++;
    if (environment.timed) this.makeTimers();
    if (end) this.requestEndedAt = this.startedAt;
    else this.timers?.start();
  }

  private makeTimers(): StreamTimers {
    return (this.timers ??= new StreamTimers(this.environment.hcm, (reply) => this.onTimeout(reply)));
  }

  start(): void {
    const { request, stream } = this;
    const { hcm, ownIp } = this.environment;
    const refusal = refuseRequest(request, hcm);
    if (refusal !== undefined) {
      stream.closeAfterResponse();
      this.onLocalReply(refusal);
      return;
    }
    this.source = receiveRequestHeaders(request, hcm, this.info.connection, ownIp, this.source);
    this.requestId = request.headers.get('x-request-id');
    if (!hcm.proxy100Continue && request.headers.get('expect')?.toLowerCase() === '100-continue') {
      request.headers.remove('expect');
      stream.sendInformational({ status: 100, headers: new FieldHeaders() });
    }
    this.takeRoute(this.lookUp());
    const action = this.route?.action;
    if (action?.kind === 'forward') this.choose(action);
    if ((stream.upgrade !== undefined || request.method === 'CONNECT') && !allowsUpgrade(stream.upgrade, action, hcm)) {
      this.stats.counters.downstream_rq_ws_on_non_ws_route++;
      this.onLocalReply({ status: 403, body: '', details: 'upgrade_failed' });
      return;
    }
    this.startSpan();
    this.filters = this.environment.chain.filters(this.route, this.choice);
    this.runFilters(0);
  }

  private lookUp(): RouteLookup {
    const { hcm, proxy } = this.environment;
    return hcm.routes()?.lookup(this.request, { secure: this.info.connection.tls !== undefined, random: proxy.random(), metadata: this.dynamicMetadata }) ?? { kind: 'none' };
  }

  private takeRoute(lookup: RouteLookup): void {
    this.toTls = lookup.kind === 'tls-redirect';
    this.route = lookup.kind === 'found' ? lookup.route : undefined;
  }

  known(): TrafficRecord {
    return recordOf(this);
  }

  refreshRoute(): void {
    if (this.router !== undefined || this.over) return;
    this.takeRoute(this.lookUp());
    this.choice = undefined;
    this.cluster = undefined;
    if (this.route?.action.kind === 'forward') this.choose(this.route.action);
  }

  transformRequest(make: (exit: BodyExit) => BodyTransform): void {
    this.incoming ??= new BodyChain({
      body: (bytes) => this.over || this.takeRequestBody(bytes, 0, bytes.length),
      end: (trailers) => this.over || this.takeRequestEnd(trailers),
    });
    this.incoming.add(make);
    // What has come already passes now.
    for (const chunk of this.early?.take() ?? []) this.incoming.push(chunk);
    if (this.requestEnded && !this.over) this.incoming.end(this.requestTrailers);
  }

  answer(reply: LocalReply): void {
    if (this.over) return;
    this.cancelWait?.();
    this.cancelWait = undefined;
    this.router?.cancel();
    this.onLocalReply(reply);
  }

  transformResponse(make: (exit: BodyExit) => BodyTransform): void {
    this.outgoing ??= new BodyChain({
      body: (bytes) => this.over || this.sendResponseBody(bytes, 0, bytes.length),
      end: (trailers) => this.over || this.sendResponseEnd(trailers),
    });
    this.outgoing.add(make);
  }

  get bodies(): BodyAccess {
    return (this.streamBodies ??= new StreamBodies(this));
  }

  /** Draws the cluster, before filters: they, and the log of what they refuse, name it. */
  private choose(action: ForwardAction): void {
    const { proxy } = this.environment;
    this.choice = chooseCluster(action, this.request, proxy.random());
    this.cluster = proxy.clusters().get(this.choice.cluster);
    if (this.cluster !== undefined) this.clusterName = this.cluster.name;
    if (action.idleTimeoutMs !== undefined) this.makeTimers().routeIdle(action.idleTimeoutMs);
  }

  private startSpan(): void {
    const { tracer } = this.environment.hcm;
    if (tracer === undefined) return;
    this.span = tracer.start(this.request, { direction: this.direction, startMs: this.startMs, requestId: this.requestId ?? '', sourceAddress: this.source.address });
    nameSpan(this.span, this.request, this.route, this.direction);
  }

  private runFilters(from: number): void {
    for (let index = from; index < this.filters.request.length; index++) {
      const verdict = this.filters.request[index]!.onRequest!(this.request, this);
      if (!this.obey(verdict, index)) return;
    }
    this.dispatch();
  }

  /** True: go on with the next filter now. */
  private obey(verdict: FilterVerdict, index: number): boolean {
    if (verdict.kind === 'continue') return true;
    if (verdict.kind === 'reply') {
      // Envoy finishes replies of filters with the headers of the route the request would have taken.
      this.onLocalReply(verdict.reply, this.route?.action.kind === 'forward');
      return false;
    }
    this.cancelWait = verdict.start((later) => {
      this.cancelWait = undefined;
      if (!this.over && this.obey(later, index)) this.runFilters(index + 1);
    });
    return false;
  }

  private dispatch(): void {
    // A filter may have answered while the body passed.
    if (this.over) return;
    const { route, request, choice } = this;
    if (route === undefined && this.toTls) return this.onLocalReply(tlsRedirectReply(request));
    if (route === undefined) {
      this.stats.counters.no_route++;
      this.onLocalReply({ status: 404, body: '', details: 'route_not_found', flag: 'NR' });
      return;
    }
    const { action } = route;
    if (action.kind === 'redirect') {
      this.stats.counters.rq_redirect++;
      this.replyByRoute({ status: action.status, body: '', details: 'direct_response', headers: [['location', action.location(request)]] });
    } else if (action.kind === 'direct') {
      this.stats.counters.rq_direct_response++;
      this.replyByRoute(directReply(action, request));
    } else if (action.kind === 'non-forwarding' || choice === undefined) this.onLocalReply({ status: 404, body: '', details: 'route_not_found', flag: 'NR' });
    else {
      const { cluster } = this;
      if (cluster === undefined) {
        this.stats.counters.no_cluster++;
        this.clusterName = '';
        this.replyByRoute({ status: action.clusterNotFoundStatus, body: '', details: 'cluster_not_found', flag: 'NC' });
        return;
      }
      const { span } = this;
      this.router = new Router(this.environment.proxy, this, {
        head: request,
        entry: route,
        action,
        choice,
        cluster,
        upgrade: this.stream.upgrade,
        grpc: this.grpc,
        sourceIp: this.source.ip,
        info: this.info,
        originalDestination: cluster.dynamicPort === undefined ? this.info.originalDestination : this.dynamicDestination,
        upstreamAlpn: this.upstreamAlpn,
        inject: span === undefined ? undefined : (head) => span.inject(head),
        known: route.request.length > 0 || choice.request !== undefined ? recordOf(this) : NOTHING_KNOWN,
      });
      this.startRouter(this.router);
    }
  }

  private startRouter(router: Router): void {
    router.start(this.requestEnded && (this.early?.empty ?? true) && this.requestTrailers === undefined);
    for (const chunk of this.early?.take() ?? []) router.onRequestBody(chunk, 0, chunk.length);
    if (this.over) return;
    if (this.requestEnded) router.onRequestEnd(this.requestTrailers);
    else this.stream.resumeBody();
  }

  // The request, as the codec reads it.

  onBody(buffer: Buffer, start: number, end: number): void {
    this.bytesReceived += end - start;
    if (this.over) return;
    this.timers?.activity();
    if (this.incoming === undefined) this.takeRequestBody(buffer, start, end);
    else this.incoming.push(Buffer.from(buffer.subarray(start, end)));
  }

  private takeRequestBody(buffer: Buffer, start: number, end: number): void {
    if (this.router !== undefined) this.router.onRequestBody(buffer, start, end);
    else {
      this.requestHold.push(Buffer.from(buffer.subarray(start, end)));
      if (!this.requestHold.wanted && !this.over) this.stream.pauseBody();
    }
  }

  onEnd(trailers: HeaderMap | undefined): void {
    this.requestEnded = true;
    this.requestEndedAt = performance.now();
    if (this.over) return;
    this.timers?.requestComplete();
    if (this.incoming === undefined) this.takeRequestEnd(trailers);
    else this.incoming.end(trailers);
  }

  private takeRequestEnd(trailers: HeaderMap | undefined): void {
    this.requestTrailers = trailers;
    if (this.router === undefined) this.requestHold.end(trailers);
    else this.router.onRequestEnd(trailers);
  }

  onReset(reason: ResetReason, detail: string): void {
    if (this.over) return;
    if (reason === 'protocol error') {
      this.addFlag('DPE');
      if (this.response === undefined) {
        this.stream.closeAfterResponse();
        this.onLocalReply({ status: 400, body: 'Bad Request', details: detail === '' ? 'http1.codec_error' : detail });
        return;
      }
    } else {
      this.addFlag('DC');
      this.details = 'downstream_remote_disconnect';
    }
    this.stats.counters.downstream_rq_rx_reset++;
    this.finish();
  }

  onDrain(): void {
    this.router?.onDownstreamDrain();
  }

  pauseRequest(): void {
    this.stream.pauseBody();
  }

  resumeRequest(): void {
    if (!this.requestEnded) this.stream.resumeBody();
  }

  // The response, from the router or from ourselves.

  onInformational(head: ResponseHead): void {
    if (!this.over && this.response === undefined) this.stream.sendInformational(head);
  }

  onHead(head: ResponseHead, end: boolean): void {
    if (this.over) return;
    const { route, choice, router } = this;
    // Known from here on, so that header values may name the status.
    this.response = head;
    if (choice?.response !== undefined) applyHeaderMutations({ headers: head.headers }, choice.response, recordOf(this));
    if (route !== undefined && route.response.length > 0) for (const mutations of route.response) applyHeaderMutations({ headers: head.headers }, mutations, recordOf(this));
    if (router?.setCookie !== undefined) head.headers.append('set-cookie', router.setCookie);
    if (route?.attemptCount.response === true && router !== undefined) head.headers.set('x-envoy-attempt-count', String(router.attempts));
    this.peer ??= this.direction === 'inbound' ? undefined : router?.host?.workload;
    this.sendHead(head, end);
  }

  private sendHead(head: ResponseHead, end: boolean): void {
    this.response = head;
    const { response } = this.filters;
    if (response.length === 0) this.writeHead(head, end);
    else (this.responses ??= new ResponseFilters(this, this)).run(response, head, end);
  }

  writeHead(head: ResponseHead, end: boolean): void {
    finishResponseHeaders(head, this.environment.hcm, this.requestId);
    this.stats.response(head.status);
    this.timers?.activity();
    this.stream.sendHead(head, end);
    // A transform may end later than the upstream's response, whose headers are overwritten by its next one.
    if (this.outgoing !== undefined) this.response = { status: head.status, headers: FieldHeaders.of(head.headers.entries()) };
    if (end) this.finish();
  }

  /** The router's callback and our own: see {@link onBody} for the request's direction. */
  onResponseBody(buffer: Buffer, start: number, end: number): void {
    if (this.over) return;
    if (this.responses?.takeBody(buffer, start, end) === true) return;
    if (this.outgoing === undefined) this.sendResponseBody(buffer, start, end);
    else this.outgoing.push(Buffer.from(buffer.subarray(start, end)));
  }

  private sendResponseBody(buffer: Buffer, start: number, end: number): void {
    this.bytesSent += end - start;
    this.timers?.activity();
    if (!this.stream.sendBody(buffer, start, end)) this.router?.pauseResponse();
  }

  onResponseEnd(trailers: HeaderMap | undefined): void {
    if (this.over || this.responses?.takeEnd(trailers) === true) return;
    this.trailers = trailers;
    if (this.outgoing === undefined) this.sendResponseEnd(trailers);
    else this.outgoing.end(trailers);
  }

  private sendResponseEnd(trailers: HeaderMap | undefined): void {
    this.stream.sendEnd(trailers);
    this.finish();
  }

  onAbort(flag: ResponseFlag, details: string): void {
    if (this.over) return;
    this.addFlag(flag);
    this.details = details;
    this.stats.counters.rq_reset_after_downstream_response_started++;
    this.stream.reset();
    this.finish();
  }

  /** Redirects, direct responses, the router's own failures and replies of filters get the route's response headers; replies of codecs do not, as with Envoy. */
  private replyByRoute(reply: LocalReply): void {
    this.reply(reply, true);
  }

  onLocalReply(reply: LocalReply, byRoute = false): void {
    this.reply(reply, byRoute);
  }

  private reply(reply: LocalReply, byRoute: boolean): void {
    if (this.over) return;
    if (this.response !== undefined) {
      this.onAbort(reply.flag ?? 'LR', reply.details);
      return;
    }
    if (!this.requestEnded) this.stream.closeAfterResponse();
    if (reply.flag !== undefined) this.addFlag(reply.flag);
    this.details = reply.details;
    this.local = reply;
    const { head, body } = localResponse(reply, this.request);
    if (byRoute && this.route !== undefined) {
      this.response = head;
      if (this.choice?.response !== undefined) applyHeaderMutations({ headers: head.headers }, this.choice.response, recordOf(this));
      for (const mutations of this.route.response) applyHeaderMutations({ headers: head.headers }, mutations, recordOf(this));
    }
    if (body === undefined) {
      this.sendHead(head, true);
      return;
    }
    this.sendHead(head, false);
    this.onResponseBody(body, 0, body.length);
    this.onResponseEnd(undefined);
  }

  private onTimeout(reply: LocalReply): void {
    if (this.over) return;
    this.stats.counters.downstream_rq_timeout++;
    if (this.response !== undefined) this.onAbort(reply.flag ?? 'UT', reply.details);
    else {
      if (!this.requestEnded) this.stream.closeAfterResponse();
      this.onLocalReply(this.requestEnded && reply.status === 408 ? { ...reply, status: 504 } : reply);
    }
  }

  /** For {@link StreamBodies} and {@link ResponseFilters}. */
  get requestHold(): BodyHold {
    return (this.early ??= new BodyHold());
  }

  get responseHold(): BodyHold | undefined {
    return this.responses?.held;
  }

  get requestComplete(): boolean {
    return this.requestEnded;
  }

  pauseUpstream(): void {
    this.router?.pauseResponse();
  }

  resumeUpstream(): void {
    this.router?.onDownstreamDrain();
  }

  answerInstead(reply: LocalReply): void {
    if (this.over) return;
    this.responses?.drop();
    this.response = undefined;
    this.router?.cancel();
    this.filters = NO_FILTERS;
    this.onLocalReply(reply);
  }

  /** Ends everything that still runs for this request and records it. */
  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.timers?.stop();
    this.cancelWait?.();
    this.cancelWait = undefined;
    this.early = undefined;
    this.responses?.drop();
    this.router?.cancel();
    this.stats.gauges.downstream_rq_active--;
    this.stats.counters.downstream_rq_completed++;
    const record = recordOf(this);
    this.span?.finish(record);
    this.environment.hcm.record(record);
  }
}
