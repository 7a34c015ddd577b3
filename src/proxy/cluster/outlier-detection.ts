/** Passive health checking: hosts that fail in a row are kept out for a while. */
import type { Clock, Timer } from '../../base/clock.ts';
import { createLogger } from '../../base/log.ts';
import type { ClusterStats } from '../stats.ts';
import type { AttemptOutcome } from './cluster.ts';
import type { ClusterHost } from './host.ts';

/** Percentages are 0–100. @see envoy.config.cluster.v3.OutlierDetection */
export interface OutlierConfig {
  /** Default 5; 0 = never. */
  readonly consecutive5xx: number;
  /** Default 100. */
  readonly enforcing5xx: number;
  /** Default 5. */
  readonly consecutiveGateway: number;
  /** Default 0. */
  readonly enforcingGateway: number;
  readonly splitLocalOrigin: boolean;
  /** Default 5. */
  readonly consecutiveLocalOrigin: number;
  /** Default 100. */
  readonly enforcingLocalOrigin: number;
  /** Default 10 000. */
  readonly intervalMs: number;
  /** Default 30 000. */
  readonly baseEjectionMs: number;
  /** Default 300 000, never less than the base. */
  readonly maxEjectionMs: number;
  /** Default 0. */
  readonly maxJitterMs: number;
  /** Default 10. */
  readonly maxEjectionPercent: number;
  readonly alwaysEjectOneHost: boolean;
}

type Reason = 'consecutive_5xx' | 'consecutive_gateway_failure' | 'consecutive_local_origin_failure';

/** What is known of one host while it is a member. */
export interface HostMonitor {
  consecutive5xx: number;
  consecutiveGateway: number;
  consecutiveLocalOrigin: number;
  /** How often in a row: the ejection time is base × this. */
  backoff: number;
  ejections: number;
  ejectedAtMs: number;
  jitterMs: number;
}

/** An ejection that was due and did not happen, and why. */
export interface BlockedEjection {
  readonly address: string;
  readonly reason: Reason;
  /** A sentence for people. */
  readonly text: string;
  readonly atMs: number;
}

export interface OutlierContext {
  readonly cluster: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly stats: ClusterStats;
  /** All hosts of the cluster, all priorities. */
  readonly hosts: () => readonly ClusterHost[];
  /** A host was ejected or came back: lists must be built anew. */
  readonly onHealthChange: () => void;
}

const log = createLogger('outlier');

/** Detector of one cluster. Ejects at once, lets back in only on its interval, as Envoy does: so an ejection lasts base … base + interval. */
export class OutlierDetector {
  private readonly monitors = new Map<ClusterHost, HostMonitor>();
  private timer: Timer | undefined;
  /** The last ejection the cap prevented; what `explain` and the admin page show. */
  lastBlocked: BlockedEjection | undefined;

  constructor(
    private config: OutlierConfig,
    private readonly context: OutlierContext,
  ) {
    this.arm();
  }

  /** Takes new settings. Failures in a row count anew, as in Envoy, whose cluster is a new one then; hosts that are out stay out for their time. */
  reconfigure(config: OutlierConfig): void {
    this.config = config;
    for (const monitor of this.monitors.values()) monitor.consecutive5xx = monitor.consecutiveGateway = monitor.consecutiveLocalOrigin = 0;
  }

  monitorOf(host: ClusterHost): HostMonitor | undefined {
    return this.monitors.get(host);
  }

  /** Counts the outcome of one attempt. */
  report(host: ClusterHost, outcome: AttemptOutcome): void {
    if (host.removed) return;
    const { splitLocalOrigin } = this.config;
    switch (outcome.kind) {
      case 'status':
        return this.status(host, outcome.httpStatus);
      case 'connected':
        if (splitLocalOrigin) this.monitor(host).consecutiveLocalOrigin = 0;
        else if (outcome.final) this.status(host, 200);
        return;
      case 'connect-failure':
      case 'reset':
        return splitLocalOrigin ? this.localOrigin(host) : this.status(host, 503);
      case 'timeout':
        return splitLocalOrigin ? this.localOrigin(host) : this.status(host, 504);
    }
  }

  /** A member left: it no longer counts as ejected. */
  forget(host: ClusterHost): void {
    this.monitors.delete(host);
    if (host.ejected) this.context.stats.gauges['outlier_detection.ejections_active']--;
    host.ejected = false;
  }

  /** Stops; every host is let back in. */
  close(): void {
    this.timer?.cancel();
    for (const host of this.monitors.keys()) this.forget(host);
  }

  private monitor(host: ClusterHost): HostMonitor {
    let monitor = this.monitors.get(host);
    if (!monitor) this.monitors.set(host, (monitor = { consecutive5xx: 0, consecutiveGateway: 0, consecutiveLocalOrigin: 0, backoff: 0, ejections: 0, ejectedAtMs: 0, jitterMs: 0 }));
    return monitor;
  }

  private status(host: ClusterHost, status: number): void {
    if (status < 500) {
      const monitor = this.monitors.get(host);
      if (monitor) monitor.consecutive5xx = monitor.consecutiveGateway = 0;
      return;
    }
    const monitor = this.monitor(host);
    if (status >= 502 && status <= 504) {
      if (reached(++monitor.consecutiveGateway, this.config.consecutiveGateway)) {
        this.failed(host, 'consecutive_gateway_failure', this.config.enforcingGateway);
        monitor.consecutiveGateway = 0;
      }
    } else monitor.consecutiveGateway = 0;
    if (reached(++monitor.consecutive5xx, this.config.consecutive5xx)) {
      this.failed(host, 'consecutive_5xx', this.config.enforcing5xx);
      monitor.consecutive5xx = 0;
    }
  }

  private localOrigin(host: ClusterHost): void {
    const monitor = this.monitor(host);
    if (!reached(++monitor.consecutiveLocalOrigin, this.config.consecutiveLocalOrigin)) return;
    this.failed(host, 'consecutive_local_origin_failure', this.config.enforcingLocalOrigin);
    monitor.consecutiveLocalOrigin = 0;
  }

  private failed(host: ClusterHost, reason: Reason, enforcingPercent: number): void {
    if (host.ejected) return;
    const { stats, random, clock, hosts } = this.context;
    stats.counters[`outlier_detection.ejections_detected_${reason}`]++;
    const active = stats.gauges['outlier_detection.ejections_active'];
    const total = hosts().length;
    const cap = Math.min(100, this.config.maxEjectionPercent);
    const allowed = (100 * (active + 1)) / Math.max(1, total) <= cap || (this.config.alwaysEjectOneHost && active === 0);
    if (!allowed) {
      stats.counters['outlier_detection.ejections_overflow']++;
      const text = `${host.address} reached ${reason} but stays in: ejecting ${active + 1} of ${total} hosts is ${Math.round((100 * (active + 1)) / Math.max(1, total))} %, max_ejection_percent is ${cap} %`;
      this.lastBlocked = { address: host.address, reason, text, atMs: clock.now() };
      log.warn(text, { cluster: this.context.cluster });
      return;
    }
    if (enforcingPercent < 100 && random() * 100 >= enforcingPercent) return;
    stats.counters['outlier_detection.ejections_total']++;
    if (reason === 'consecutive_5xx') stats.counters['outlier_detection.ejections_consecutive_5xx']++;
    stats.counters['outlier_detection.ejections_enforced_total']++;
    stats.counters[`outlier_detection.ejections_enforced_${reason}`]++;
    this.eject(host, reason);
  }

  private eject(host: ClusterHost, reason: Reason): void {
    const { clock, random, stats, onHealthChange } = this.context;
    const monitor = this.monitor(host);
    const { baseEjectionMs, maxEjectionMs, maxJitterMs } = this.config;
    host.ejected = true;
    monitor.ejectedAtMs = clock.now();
    monitor.ejections++;
    monitor.jitterMs = maxJitterMs > 0 ? Math.floor(random() * maxJitterMs) : 0;
    if (monitor.backoff * baseEjectionMs < maxEjectionMs + baseEjectionMs) monitor.backoff++;
    stats.gauges['outlier_detection.ejections_active']++;
    log.info('host ejected', { cluster: this.context.cluster, host: host.address, reason, forMs: this.ejectionMs(monitor) });
    onHealthChange();
  }

  private ejectionMs(monitor: HostMonitor): number {
    return Math.min(this.config.baseEjectionMs * monitor.backoff, this.config.maxEjectionMs) + monitor.jitterMs;
  }

  private arm(): void {
    this.timer = this.context.clock.after(this.config.intervalMs, () => {
      this.tick();
      this.arm();
    });
  }

  private tick(): void {
    const now = this.context.clock.now();
    let changed = false;
    for (const [host, monitor] of this.monitors) {
      if (!host.ejected) {
        if (monitor.backoff > 0) monitor.backoff--;
        continue;
      }
      if (now - monitor.ejectedAtMs < this.ejectionMs(monitor)) continue;
      host.ejected = false;
      monitor.consecutive5xx = monitor.consecutiveGateway = monitor.consecutiveLocalOrigin = 0;
      this.context.stats.gauges['outlier_detection.ejections_active']--;
      changed = true;
      log.info('host let back in', { cluster: this.context.cluster, host: host.address });
    }
    if (changed) this.context.onHealthChange();
  }
}

/** 0 is never reached. More than the threshold counts too: a new configuration may have lowered it below what was counted. */
function reached(count: number, threshold: number): boolean {
  return threshold > 0 && count >= threshold;
}
