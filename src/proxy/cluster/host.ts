import type { PeerMetadata } from '../../telemetry/traffic-record.ts';
import type { AttemptOutcome, Host, UpstreamTransport } from './cluster.ts';
import type { EndpointSpec } from './endpoints.ts';

/** A host with what balancers and outlier detection remember of it. The same object stays as long as its address is named, so counters survive updates. */
export class ClusterHost implements Host {
  activeRequests = 0;
  removed = false;
  /** False while outlier detection keeps the host out. */
  ejected = false;
  private connectionsNow = 0;
  /** What the admin page shows of the host's past. */
  readonly counts = { connections: 0, connectFail: 0, requests: 0, successes: 0, errors: 0, timeouts: 0 };
  /** Chosen by the cluster from its transport socket matches. */
  transport: UpstreamTransport = { tls: undefined };
  /** When the host was first seen, for slow start. */
  readonly addedMs: number;

  constructor(
    public spec: EndpointSpec,
    nowMs: number,
  ) {
    this.addedMs = nowMs;
  }

  get address(): string {
    return this.spec.address;
  }
  get ip(): string {
    return this.spec.ip;
  }
  get port(): number {
    return this.spec.port;
  }
  get weight(): number {
    return this.spec.weight;
  }
  get priority(): number {
    return this.spec.priority;
  }
  get locality(): string {
    return this.spec.locality;
  }
  get healthy(): boolean {
    return this.spec.healthy && !this.ejected;
  }
  get tlsMode(): string {
    const mode = this.spec.transportMatch['tlsMode'];
    return typeof mode === 'string' ? mode : '';
  }
  get workload(): PeerMetadata | undefined {
    return this.spec.workload;
  }

  get activeConnections(): number {
    return this.connectionsNow;
  }
  set activeConnections(count: number) {
    if (count > this.connectionsNow) this.counts.connections += count - this.connectionsNow;
    this.connectionsNow = count;
  }

  /** Counts one outcome; Envoy counts a failed connection among the errors too. */
  count(outcome: AttemptOutcome): void {
    const { counts } = this;
    switch (outcome.kind) {
      case 'status':
        counts.requests++;
        counts[outcome.httpStatus < 500 ? 'successes' : 'errors']++;
        break;
      case 'connected':
        break;
      case 'connect-failure':
        counts.connectFail++;
        counts.errors++;
        break;
      case 'timeout':
        counts.timeouts++;
        counts.errors++;
        break;
      case 'reset':
        counts.errors++;
    }
  }
}
