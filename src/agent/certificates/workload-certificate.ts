// The workload's own certificate: made at start, renewed at half life, never on disk.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { Backoff } from '../../base/backoff.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { Watchable } from '../../base/watchable.ts';
import { parseCertificate, splitCertificates } from '../../identity/certificate.ts';
import { generateKeyAndCsr, type KeyAndCsr, type KeyType } from '../../identity/csr.ts';
import { verifyChain } from '../../identity/trust-bundle.ts';
import type { CaClient } from './ca-client.ts';

const log = createLogger('cache');

/** Timers hold at most 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const FIRST_RETRY_MS = 100;
/** While there is no certificate nothing works: ask often. */
const URGENT_RETRY_MS = 30_000;
/** While the old one is good for long there is time, and a CA that comes back is not met by everybody at once. */
const PATIENT_RETRY_MS = 5 * 60_000;
/** Warnings about a certificate that cannot be renewed start when this part of its life is left, and come back when the part has halved. */
const WARN_FRACTION = 0.25;
/** After roots changed under a certificate: nobody asks in the same second. */
const RENEW_SOON_MS = 10_000;

/** A certificate with its key and the roots it chains to. */
export interface WorkloadCertificate {
  /** Leaf and intermediates, PEM. */
  readonly chainPem: string;
  readonly privateKeyPem: string;
  /** The CA's roots, PEM. */
  readonly rootPem: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Where the workload's certificate comes from: a CA, or files that somebody else renews. */
export interface WorkloadCertificates {
  /** Undefined before the first one, and again once it expired without a successor. */
  readonly certificate: Watchable<WorkloadCertificate | undefined>;
  /** Why there is no certificate, or why it could not be renewed; undefined while all is well. */
  readonly lastError: Watchable<string | undefined>;
  /** Resolves after the first attempt, successful or not. */
  start(): Promise<void>;
  /** The mesh trusts these roots from now on: a certificate they do not carry is renewed within seconds. */
  checkAgainst(rootsPem: string): void;
  close(): void;
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
  /** The certificate cannot be renewed and ends in so many milliseconds; called a few times until it does. */
  readonly onExpiring?: (leftMs: number) => void;
}

/**
 * Keeps one certificate current. Failures are retried with growing delays for ever; the last good certificate stays in use until it expires, and is
 * withdrawn then: an expired certificate is never handed out.
 */
export class WorkloadCertificateManager implements WorkloadCertificates {
  readonly certificate = new Watchable<WorkloadCertificate | undefined>(undefined);
  readonly lastError = new Watchable<string | undefined>(undefined);
  private backoff: Backoff;
  private timer: Timer | undefined;
  private expiry: Timer | undefined;
  private closed = false;
  private renewing = false;
  /** Key and request of a renewal that failed: asking again is no reason for a new key. */
  private pending: KeyAndCsr | undefined;
  private lifetimeMs = 0;
  private warnBelowMs = 0;

  constructor(private readonly options: WorkloadCertificateOptions) {
    this.backoff = this.newBackoff(FIRST_RETRY_MS, URGENT_RETRY_MS);
  }

  async start(): Promise<void> {
    await this.renew();
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
    this.expiry?.cancel();
  }

  checkAgainst(rootsPem: string): void {
    const current = this.certificate.value;
    const { clock, random = Math.random } = this.options;
    if (!current || this.closed || this.renewing || chainsTo(current, rootsPem, clock.now())) return;
    log.info('the mesh trusts other roots now: renewing');
    this.timer?.cancel();
    this.timer = clock.after(random() * Math.min(RENEW_SOON_MS, this.lifetimeMs / 10), () => void this.renew());
  }

  private newBackoff(baseMs: number, maxMs: number): Backoff {
    const { random } = this.options;
    return new Backoff({ baseMs, maxMs, ...(random ? { random } : {}) });
  }

  private async renew(): Promise<void> {
    if (this.closed || this.renewing) return;
    this.renewing = true;
    const { ca, clock, uri, keyType, ttlSeconds = 24 * 3600 } = this.options;
    let delayMs: number;
    try {
      this.pending ??= await generateKeyAndCsr({ uri, ...(keyType ? { keyType } : {}) });
      const { privateKeyPem, csrPem } = this.pending;
      const made = readAnswer(await ca.sign(csrPem, ttlSeconds), privateKeyPem, clock.now());
      if (this.closed) return;
      this.pending = undefined;
      this.take(made);
      delayMs = renewalDelayMs(clock.now(), made.notAfterMs, this.options);
      log.info('generated new workload certificate', { ttl: `${Math.round((made.notAfterMs - clock.now()) / 1000)}s`, renewIn: `${Math.round(delayMs / 1000)}s` });
    } catch (thrown) {
      delayMs = this.retryDelayMs();
      this.lastError.set(messageOf(thrown));
      this.report(messageOf(thrown), delayMs);
    } finally {
      this.renewing = false;
    }
    if (!this.closed) this.timer = clock.after(delayMs, () => void this.renew());
  }

  private take(made: WorkloadCertificate): void {
    this.lifetimeMs = made.notAfterMs - this.options.clock.now();
    this.warnBelowMs = this.lifetimeMs * WARN_FRACTION;
    // Half of what is left at the renewal, in ten tries: a short-lived certificate has no minutes to wait.
    const maxMs = Math.min(PATIENT_RETRY_MS, Math.max(1000, this.lifetimeMs / 20));
    this.backoff = this.newBackoff(Math.max(FIRST_RETRY_MS, maxMs / 60), maxMs);
    this.certificate.set(made);
    this.lastError.set(undefined);
    this.watchExpiry();
  }

  private retryDelayMs(): number {
    const current = this.certificate.value;
    const delayMs = this.backoff.next();
    // The last tries come before the end, not after it.
    return current ? Math.min(delayMs, Math.max(1000, (current.notAfterMs - this.options.clock.now()) / 4)) : Math.min(delayMs, URGENT_RETRY_MS);
  }

  private report(error: string, retryInMs: number): void {
    const current = this.certificate.value;
    const retryIn = `${Math.round(retryInMs)}ms`;
    if (!current) return log.warn('failed to get a workload certificate', { error, retryIn });
    const leftMs = current.notAfterMs - this.options.clock.now();
    if (leftMs > this.warnBelowMs) return log.info('failed to renew the workload certificate', { error, retryIn });
    this.warnBelowMs = leftMs / 2;
    this.options.onExpiring?.(leftMs);
    log.warn('the workload certificate expires soon and cannot be renewed', { expiresIn: `${Math.round(leftMs / 1000)}s`, error, retryIn });
  }

  private watchExpiry(): void {
    this.expiry?.cancel();
    const { clock } = this.options;
    const current = this.certificate.value;
    if (!current || this.closed) return;
    const leftMs = current.notAfterMs - clock.now();
    this.expiry = clock.after(Math.min(MAX_TIMER_MS, Math.max(0, leftMs)), () => {
      if (current.notAfterMs > clock.now()) return this.watchExpiry();
      log.error('the workload certificate expired', { lastError: this.lastError.value ?? '' });
      this.lastError.set(`the certificate expired at ${new Date(current.notAfterMs).toISOString()} and could not be renewed: ${this.lastError.value ?? 'not tried'}`);
      this.certificate.set(undefined);
    });
  }
}

/** Takes a CA's answer apart. Throws when it is not a certificate for our key, or one that is over already. */
function readAnswer(chain: readonly string[], privateKeyPem: string, nowMs: number): WorkloadCertificate {
  const [leafPem] = chain;
  if (leafPem === undefined) throw new Error('the CA answered without a certificate');
  const leaf = parseCertificate(leafPem);
  if (!new X509Certificate(leafPem).checkPrivateKey(createPrivateKey(privateKeyPem))) throw new Error('the CA answered with a certificate for another key');
  if (leaf.notAfterMs <= nowMs) throw new Error(`the CA answered with a certificate that ended at ${new Date(leaf.notAfterMs).toISOString()}: is the clock right?`);
  const own = chain.length > 1 ? chain.slice(0, -1) : chain;
  return { chainPem: own.map(withNewline).join(''), privateKeyPem, rootPem: withNewline(chain[chain.length - 1]!), notBeforeMs: leaf.notBeforeMs, notAfterMs: leaf.notAfterMs };
}

function chainsTo(certificate: WorkloadCertificate, rootsPem: string, nowMs: number): boolean {
  try {
    const [leaf = '', ...between] = splitCertificates(certificate.chainPem);
    // Roots that cannot be read say nothing.
    return splitCertificates(rootsPem).length === 0 || verifyChain(leaf, between, rootsPem, nowMs);
  } catch {
    return true;
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
  return Math.min(MAX_TIMER_MS, Math.max(1000, notAfterMs - lifetimeMs * graceFraction + jitterMs - nowMs));
}
