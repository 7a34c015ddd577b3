// The workload's own certificate: made at start, renewed at half life, never on disk.
import { Backoff } from '../../base/backoff.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { Watchable } from '../../base/watchable.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { createKeyAndCsr, type KeyType } from '../../identity/csr.ts';
import type { CaClient } from './ca-client.ts';

const log = createLogger('cache');

/** A certificate with its key and the root it chains to. */
export interface WorkloadCertificate {
  /** Leaf and intermediates, PEM. */
  readonly chainPem: string;
  readonly privateKeyPem: string;
  /** The CA's root, PEM. */
  readonly rootPem: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface WorkloadCertificateOptions {
  readonly ca: CaClient;
  readonly clock: Clock;
  /** SPIFFE id asked for; the CA puts in the caller's own. */
  readonly uri: string;
  readonly keyType?: KeyType;
  /** Asked lifetime. Default 24 h. */
  readonly ttlSeconds?: number;
  /** Part of the lifetime (0–1) that is left when the certificate is renewed. Default 0.5. */
  readonly graceFraction?: number;
  /** Part of the lifetime (0–1) by which the moment is moved either way, so that a mesh does not renew at once. Default 0.01. */
  readonly jitterFraction?: number;
  readonly random?: () => number;
}

/** Keeps one certificate current. Failures are retried with growing delays for ever; the last good certificate stays in use. */
export class WorkloadCertificateManager {
  readonly certificate = new Watchable<WorkloadCertificate | undefined>(undefined);
  /** Why there is no certificate, or why it could not be renewed; undefined while all is well. */
  readonly lastError = new Watchable<string | undefined>(undefined);
  private readonly backoff: Backoff;
  private timer: Timer | undefined;
  private closed = false;

  constructor(private readonly options: WorkloadCertificateOptions) {
    this.backoff = new Backoff({ baseMs: 100, maxMs: 30_000, ...(options.random ? { random: options.random } : {}) });
  }

  /** Asks now; resolves after the first attempt, successful or not. */
  async start(): Promise<void> {
    await this.renew();
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private async renew(): Promise<void> {
    if (this.closed) return;
    const { ca, clock, uri, keyType, ttlSeconds = 24 * 3600 } = this.options;
    let delayMs: number;
    try {
      const { privateKeyPem, csrPem } = createKeyAndCsr({ uri, ...(keyType ? { keyType } : {}) });
      const chain = await ca.sign(csrPem, ttlSeconds);
      const leaf = parseCertificate(chain[0]!);
      const rootPem = chain[chain.length - 1]!;
      const own = chain.length > 1 ? chain.slice(0, -1) : chain;
      this.certificate.set({ chainPem: own.map(withNewline).join(''), privateKeyPem, rootPem: withNewline(rootPem), notBeforeMs: leaf.notBeforeMs, notAfterMs: leaf.notAfterMs });
      this.lastError.set(undefined);
      this.backoff.reset();
      delayMs = renewalDelayMs(clock.now(), leaf.notAfterMs, this.options);
      log.info('generated new workload certificate', { ttl: `${Math.round((leaf.notAfterMs - clock.now()) / 1000)}s`, renewIn: `${Math.round(delayMs / 1000)}s` });
    } catch (thrown) {
      delayMs = this.backoff.next();
      this.lastError.set(messageOf(thrown));
      log.warn('failed to get a workload certificate', { error: messageOf(thrown), retryIn: `${Math.round(delayMs)}ms` });
    }
    if (!this.closed) this.timer = clock.after(delayMs, () => void this.renew());
  }
}

function withNewline(pem: string): string {
  return pem.endsWith('\n') ? pem : `${pem}\n`;
}

/**
 * Milliseconds until renewal: half the lifetime before the end, moved by the jitter; at least one second, so that a wrong clock does not spin.
 * The lifetime counts from now, when the certificate came: CAs date its start back for clocks that are behind.
 */
export function renewalDelayMs(nowMs: number, notAfterMs: number, options: Pick<WorkloadCertificateOptions, 'graceFraction' | 'jitterFraction' | 'random'>): number {
  const { graceFraction = 0.5, jitterFraction = 0.01, random = Math.random } = options;
  const lifetimeMs = notAfterMs - nowMs;
  const jitterMs = lifetimeMs * jitterFraction * (2 * random() - 1);
  return Math.min(2 ** 31 - 1, Math.max(1000, notAfterMs - lifetimeMs * graceFraction + jitterMs - nowMs));
}
