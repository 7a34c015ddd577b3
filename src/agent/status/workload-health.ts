// Health of a workload outside of Kubernetes: the probe of its WorkloadGroup, run here because no kubelet does.
import { execFile } from 'node:child_process';
import type { Clock, Timer } from '../../base/clock.ts';
import { createLogger } from '../../base/log.ts';
import { probeApplication, type AppProber, type ProbeResult } from './app-probes.ts';

const log = createLogger('health');

/** A readiness probe as `defaultConfig.readinessProbe` carries it. @see https://istio.io/latest/docs/reference/config/networking/workload-group/#ReadinessProbe */
export interface WorkloadProbe {
  readonly initialDelayMs: number;
  readonly timeoutMs: number;
  readonly periodMs: number;
  /** Successes in a row that make it well. */
  readonly successThreshold: number;
  /** Failures in a row that make it unwell. */
  readonly failureThreshold: number;
  readonly action: Pick<AppProber, 'httpGet' | 'tcpSocket' | 'grpc'> & { readonly exec?: { readonly command: readonly string[] } };
}

/** Reads it; undefined when there is none. Defaults: 1 s timeout, every 10 s, one success, three failures. Throws a plain sentence when it has no action. */
export function parseWorkloadProbe(value: unknown): WorkloadProbe | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw new Error('readinessProbe is not a map');
  const probe = value as Readonly<Record<string, unknown>>;
  const seconds = (name: string, standard: number): number => (typeof probe[name] === 'number' && probe[name] > 0 ? probe[name] : standard);
  const action = probe as WorkloadProbe['action'];
  if (!action.httpGet && !action.tcpSocket && !action.grpc && !action.exec?.command?.length) throw new Error('readinessProbe needs httpGet, tcpSocket, grpc or exec');
  return {
    initialDelayMs: seconds('initialDelaySeconds', 0) * 1000, timeoutMs: seconds('timeoutSeconds', 1) * 1000, periodMs: seconds('periodSeconds', 10) * 1000,
    successThreshold: seconds('successThreshold', 1), failureThreshold: seconds('failureThreshold', 3), action,
  };
}

export interface WorkloadHealthOptions {
  readonly probe: WorkloadProbe;
  /** Where the application listens, unless the probe names a host. */
  readonly address: string;
  readonly clock: Clock;
  /** Called when it becomes well (undefined) or unwell (why), beginning with the first that is known. */
  readonly onChange: (problem: string | undefined) => void;
  /** Asks once. Default: really. */
  readonly ask?: (probe: WorkloadProbe, address: string) => Promise<ProbeResult>;
}

/** Probes for ever. */
export class WorkloadHealth {
  private state: 'unknown' | 'well' | 'unwell' = 'unknown';
  private successes = 0;
  private failures = 0;
  private timer: Timer | undefined;
  private closed = false;

  constructor(private readonly options: WorkloadHealthOptions) {
    this.timer = options.clock.after(options.probe.initialDelayMs, () => void this.probe());
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private async probe(): Promise<void> {
    const { probe, address, clock, ask = askWorkload } = this.options;
    const { status, text } = await ask(probe, address).catch((error: unknown): ProbeResult => ({ status: 500, text: String(error) }));
    if (this.closed) return;
    if (status >= 200 && status < 400) this.succeeded();
    else this.failed(text);
    this.timer = clock.after(probe.periodMs, () => void this.probe());
  }

  private succeeded(): void {
    this.failures = 0;
    if (this.state === 'well' || ++this.successes < this.options.probe.successThreshold) return;
    this.state = 'well';
    log.info('the workload is healthy');
    this.options.onChange(undefined);
  }

  private failed(text: string): void {
    this.successes = 0;
    if (this.state === 'unwell' || ++this.failures < this.options.probe.failureThreshold) return;
    this.state = 'unwell';
    log.warn('the workload is not healthy', { reason: text });
    this.options.onChange(text);
  }
}

function askWorkload({ action, timeoutMs }: WorkloadProbe, address: string): Promise<ProbeResult> {
  if (!action.exec) return probeApplication({ ...action, timeoutSeconds: timeoutMs / 1000 }, address, {});
  const [program = '', ...args] = action.exec.command;
  return new Promise((resolve) => {
    execFile(program, args, { timeout: timeoutMs }, (error) => resolve(error ? { status: 500, text: error.message } : { status: 200, text: 'exited with 0' }));
  });
}
