import type { AttemptOutcome, Cluster, Host, Permit } from '../cluster/cluster.ts';
import type { HeaderMap, RequestHead, ResponseHead } from '../http/message.ts';
import type { ClientStream, ResetReason, ResponseReceiver } from '../http/stream.ts';
import type { PoolWaiter, ReadyConnection } from './host-pool.ts';

/** Hears of one attempt. After `onLost` and after the end nothing follows. */
export interface AttemptOwner {
  /** The head may be sent: call {@link UpstreamAttempt.begin} now. */
  onReady(attempt: UpstreamAttempt): void;
  onInformational(head: ResponseHead): void;
  onHead(attempt: UpstreamAttempt, head: ResponseHead, end: boolean): void;
  onBody(buffer: Buffer, start: number, end: number): void;
  onEnd(trailers: HeaderMap | undefined): void;
  onLost(attempt: UpstreamAttempt, reason: ResetReason, transportFailure: string): void;
  onDrain(): void;
}

/** gRPC status → HTTP status, as outlier detection counts it. @see Envoy Grpc::Utility::grpcToHttpStatus */
const HTTP_OF_GRPC: readonly number[] = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

const CONNECTED: AttemptOutcome = { kind: 'connected' };
/** Outcomes by status, made once. */
const STATUS_OUTCOMES = new Map<number, AttemptOutcome>();

/** One try of one request on one host. */
export class UpstreamAttempt implements ResponseReceiver, PoolWaiter {
  connection: ReadyConnection | undefined;
  /** Undefined until the head was sent. */
  stream: ClientStream | undefined;
  headReceived = false;
  private withdraw: (() => void) | undefined;
  private permit: Permit | undefined;
  private over = false;
  private grpc = false;
  /** The request has been sent completely. */
  requestSent = false;

  constructor(
    readonly cluster: Cluster,
    readonly host: Host,
    private readonly owner: AttemptOwner,
  ) {}

  /** Asks the pool for a connection. */
  open(pool: { acquire(waiter: PoolWaiter): (() => void) | undefined }): void {
    this.withdraw = pool.acquire(this);
    if (this.over || this.stream !== undefined) this.withdraw = undefined;
  }

  onFailure(reason: ResetReason, transportFailure: string): void {
    this.withdraw = undefined;
    if (this.over) return;
    this.over = true;
    if (reason !== 'overflow') this.cluster.report(this.host, { kind: 'connect-failure' });
    this.owner.onLost(this, reason, transportFailure);
  }

  onReady(connection: ReadyConnection): void {
    this.withdraw = undefined;
    this.permit = this.cluster.admit('request');
    if (this.permit === undefined) {
      this.cluster.stats.counters.upstream_rq_active_overflow++;
      this.over = true;
      connection.release();
      this.owner.onLost(this, 'overflow', '');
      return;
    }
    this.connection = connection;
    const { stats } = this.cluster;
    this.host.activeRequests++;
    stats.counters.upstream_rq_total++;
    stats.gauges.upstream_rq_active++;
    this.report(CONNECTED);
    this.owner.onReady(this);
  }

  begin(head: RequestHead, upgrade: string | undefined, end: boolean): void {
    this.requestSent = end;
    this.stream = this.connection!.start(head, upgrade, end, this);
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    this.requestSent = true;
    this.stream!.sendEnd(trailers);
  }

  onInformational(head: ResponseHead): void {
    if (!this.over) this.owner.onInformational(head);
  }

  onHead(head: ResponseHead, end: boolean): void {
    if (this.over) return;
    this.headReceived = true;
    this.grpc = head.headers.get('content-type')?.startsWith('application/grpc') === true;
    const grpcStatus = this.grpc ? head.headers.get('grpc-status') : undefined;
    if (grpcStatus !== undefined) this.reportStatus(httpStatusOf(grpcStatus));
    else if (!this.grpc || end || head.status !== 200) this.reportStatus(head.status);
    this.cluster.stats.response(head.status);
    if (end) this.finish();
    this.owner.onHead(this, head, end);
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    if (!this.over) this.owner.onBody(buffer, start, end);
  }

  onEnd(trailers: HeaderMap | undefined): void {
    if (this.over) return;
    if (this.grpc) this.reportStatus(httpStatusOf(trailers?.get('grpc-status') ?? '0'));
    this.finish();
    this.owner.onEnd(trailers);
  }

  onReset(reason: ResetReason, detail: string): void {
    if (this.over) return;
    void detail;
    this.cluster.stats.counters.upstream_rq_rx_reset++;
    this.report({ kind: 'reset' });
    this.finish();
    this.owner.onLost(this, reason, '');
  }

  onDrain(): void {
    if (!this.over) this.owner.onDrain();
  }

  /** Gives the attempt up; nothing is called any more. */
  cancel(outcome?: AttemptOutcome): void {
    if (this.over) return;
    if (outcome !== undefined) this.report(outcome);
    const { withdraw } = this;
    this.withdraw = undefined;
    this.over = true;
    if (withdraw !== undefined) {
      withdraw();
      this.cluster.stats.counters.upstream_rq_cancelled++;
      return;
    }
    this.cluster.stats.counters.upstream_rq_tx_reset++;
    this.leave();
    this.stream?.cancel();
  }

  private finish(): void {
    this.over = true;
    this.cluster.stats.counters.upstream_rq_completed++;
    this.leave();
  }

  private leave(): void {
    if (this.permit === undefined) return;
    this.permit.release();
    this.permit = undefined;
    this.host.activeRequests--;
    this.cluster.stats.gauges.upstream_rq_active--;
  }

  private reportStatus(httpStatus: number): void {
    let outcome = STATUS_OUTCOMES.get(httpStatus);
    // Statuses have three digits: there are 900 of them at most.
    if (outcome === undefined) STATUS_OUTCOMES.set(httpStatus, (outcome = { kind: 'status', httpStatus }));
    this.report(outcome);
  }

  private report(outcome: AttemptOutcome): void {
    this.cluster.report(this.host, outcome);
  }
}

function httpStatusOf(grpcStatus: string): number {
  return HTTP_OF_GRPC[Number(grpcStatus)] ?? 500;
}
