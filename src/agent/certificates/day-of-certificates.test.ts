// Twenty-four hours of a mesh's certificates in a few seconds: the real renewal, signing and root change on a virtual clock.
import { expect, test } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { setLogLevel } from '../../base/log.ts';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import { parseCertificate, splitCertificates } from '../../identity/certificate.ts';
import { advanceRotation, type RotationPolicy, type SelfSignedState } from '../../identity/root-rotation.ts';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import { mergeBundles, verifyChain } from '../../identity/trust-bundle.ts';
import { WorkloadCertificateManager, type WorkloadCertificate } from './workload-certificate.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const STEP = 10 * SECOND;
/** Pods see a new ConfigMap at some moment within this time. */
const DISTRIBUTION = 90 * SECOND;
const OUTAGE = { fromMs: 9 * HOUR, toMs: 14 * HOUR } as const;
const FLEET = [{ count: 150, ttlMs: 24 * HOUR }, { count: 15, ttlMs: HOUR }, { count: 4, ttlMs: 10 * MINUTE }] as const;

/** Mulberry32: the same day every time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Workload {
  readonly manager: WorkloadCertificateManager;
  readonly ttlMs: number;
  /** ConfigMap `istio-ca-root-cert` as this pod sees it. */
  bundle: string;
  /** `expiresSoon` since the present certificate came, certificates, and times without one. */
  warnings: number;
  expiries: number;
  unwarned: number;
  certificates: number;
}

/** A mesh whose root has 21 of its 100 hours left. */
class Mesh {
  readonly startMs = Math.floor(Date.now() / SECOND) * SECOND;
  readonly clock = new VirtualClock(this.startMs);
  readonly random = seeded(20);
  readonly policy: RotationPolicy = { root: { organization: 'cluster.local', ttlMs: 100 * HOUR }, graceFraction: 0.2, retireAfterMs: 20 * HOUR };
  readonly firstRoot: string;
  readonly steps: string[] = [];
  readonly workloads: Workload[] = [];
  state: SelfSignedState;
  authority: CertificateAuthority;
  /** Requests in the present step, answered and refused. */
  answered = 0;
  refused = 0;

  constructor() {
    const material = createSelfSignedCa({ ...this.policy.root, nowMs: this.startMs - 79 * HOUR });
    this.firstRoot = material.caCertPem;
    this.state = { material };
    this.authority = new CertificateAuthority(material, this.startMs);
    for (const { count, ttlMs } of FLEET) for (let i = 0; i < count; i++) this.deploy(ttlMs);
    this.watchRoot();
  }

  get elapsedMs(): number {
    return this.clock.now() - this.startMs;
  }

  get caIsAway(): boolean {
    return this.elapsedMs >= OUTAGE.fromMs && this.elapsedMs < OUTAGE.toMs;
  }

  private deploy(ttlMs: number): void {
    const spiffeId = formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: `w${this.workloads.length}` });
    const sign = (csr: string, ttlSeconds: number): Promise<readonly string[]> => {
      if (this.caIsAway) return this.refused++, Promise.reject(new Error('no CA'));
      this.answered++;
      return Promise.resolve(this.authority.signCsr(csr, { spiffeId, nowMs: this.clock.now(), ttlMs: ttlSeconds * SECOND }));
    };
    const workload: Workload = {
      ttlMs, bundle: this.firstRoot, warnings: 0, expiries: 0, unwarned: 0, certificates: 0,
      manager: new WorkloadCertificateManager({ ca: { sign }, clock: this.clock, uri: spiffeId, ttlSeconds: ttlMs / SECOND, random: this.random, onExpiring: () => void workload.warnings++ }),
    };
    this.workloads.push(workload);
    workload.manager.certificate.watch((certificate) => {
      if (certificate) workload.certificates++;
      else if (workload.certificates > 0) {
        workload.expiries++;
        if (workload.warnings === 0) workload.unwarned++;
      }
      if (certificate) workload.warnings = 0;
    });
    this.clock.after(this.random() * 5 * MINUTE, () => void workload.manager.start());
  }

  /** What istiod does every so often; the bundle reaches each pod at a moment of its own. */
  private watchRoot(): void {
    this.clock.after(10 * MINUTE, () => {
      const advanced = advanceRotation(this.state, this.policy, this.clock.now());
      if (advanced) {
        this.steps.push(`${advanced.step} ${Math.round(this.elapsedMs / HOUR)} h`);
        this.state = advanced.state;
        this.authority = new CertificateAuthority(advanced.state.material, this.clock.now());
        const { rootCertPem } = advanced.state.material;
        for (const workload of this.workloads)
          this.clock.after(this.random() * DISTRIBUTION, () => {
            workload.bundle = rootCertPem;
            workload.manager.checkAgainst(rootCertPem);
          });
      }
      this.watchRoot();
    });
  }
}

/** Every certificate in use must be good, now, to everybody (asked once a minute). Chains are checked once for each pair of certificate and roots. */
class Judge {
  private readonly verified = new WeakMap<WorkloadCertificate, Set<string>>();
  private readonly merged = new Map<string, string>();
  checks = 0;

  judge(mesh: Mesh): void {
    const nowMs = mesh.clock.now();
    for (const { manager } of mesh.workloads) if ((manager.certificate.value?.notAfterMs ?? Infinity) <= nowMs) throw new Error(`an expired certificate is in use after ${mesh.elapsedMs / HOUR} h`);
    if (mesh.elapsedMs % MINUTE !== 0) return;
    const trusted = new Set<string>();
    for (const { bundle, manager } of mesh.workloads) if (manager.certificate.value) trusted.add(this.merge(bundle, manager.certificate.value.rootPem));
    for (const { manager } of mesh.workloads) {
      const certificate = manager.certificate.value;
      if (certificate !== undefined) for (const roots of trusted) this.verify(certificate, roots, mesh);
    }
  }

  private verify(certificate: WorkloadCertificate, roots: string, mesh: Mesh): void {
    const done = this.verified.get(certificate) ?? new Set();
    this.verified.set(certificate, done);
    if (done.has(roots)) return;
    done.add(roots);
    this.checks++;
    const [leaf = '', ...between] = splitCertificates(certificate.chainPem);
    if (!verifyChain(leaf, between, roots, mesh.clock.now())) throw new Error(`a certificate of ${parseCertificate(leaf).issuer} is refused after ${mesh.elapsedMs / HOUR} h`);
  }

  /** The roots a proxy has: those of its file and those of the CA that signed it. */
  private merge(file: string, signer: string): string {
    const key = `${file} ${signer}`;
    const known = this.merged.get(key) ?? mergeBundles(file, signer);
    this.merged.set(key, known);
    return known;
  }
}

/** Lets what is asked and signed within a step come to its end. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a day: renewals, five hours without a CA, a new root; nobody uses an expired certificate and nobody storms the CA', async () => {
  setLogLevel('none');
  const mesh = new Mesh();
  const judge = new Judge();
  const load = { start: 0, day: 0, outage: 0, recovery: 0 };
  let worstUrgentS = 0;
  for (let step = 0; step < (24 * HOUR) / STEP; step++) {
    mesh.answered = mesh.refused = 0;
    mesh.clock.advance(STEP);
    await settle();
    const phase = mesh.elapsedMs <= 6 * MINUTE ? 'start' : mesh.caIsAway ? 'outage' : mesh.elapsedMs >= OUTAGE.toMs && mesh.elapsedMs < OUTAGE.toMs + 10 * MINUTE ? 'recovery' : 'day';
    load[phase] = Math.max(load[phase], mesh.answered + mesh.refused);
    if (mesh.elapsedMs >= OUTAGE.toMs && mesh.workloads.some(({ manager }) => manager.certificate.value === undefined)) worstUrgentS = (mesh.elapsedMs - OUTAGE.toMs) / SECOND;
    judge.judge(mesh);
  }

  const [long, hourly, short] = FLEET.map(({ ttlMs }) => mesh.workloads.filter((workload) => workload.ttlMs === ttlMs));
  // A day's certificates outlive the outage; those of an hour and less cannot, and said so before.
  expect(long!.map(({ expiries }) => expiries)).toEqual(long!.map(() => 0));
  expect([...hourly!, ...short!].map(({ expiries, unwarned }) => [expiries, unwarned])).toEqual([...hourly!, ...short!].map(() => [1, 0]));
  // Everybody was renewed at half life: as often as the hours with a CA allow, and not more.
  for (const { certificates } of long!) expect(certificates).toBeGreaterThanOrEqual(2);
  for (const { certificates } of hourly!) expect(certificates).toBeGreaterThan(34);
  for (const { certificates } of hourly!) expect(certificates).toBeLessThan(46);
  for (const { certificates } of short!) expect(certificates).toBeGreaterThan(210);

  expect(mesh.steps).toEqual(['announced 1 h', 'changed 2 h', 'retired 22 h']);
  expect(mesh.workloads.every(({ bundle }) => bundle === mesh.state.material.caCertPem && bundle !== mesh.firstRoot)).toBe(true);
  expect(mesh.workloads.every(({ manager }) => manager.certificate.value !== undefined)).toBe(true);
  expect(judge.checks).toBeGreaterThan(2000);

  // 169 workloads: requests in the worst ten seconds, when all want one at once.
  expect(load.day).toBeLessThanOrEqual(12);
  expect(load.outage).toBeLessThanOrEqual(34);
  expect(load.recovery).toBeLessThanOrEqual(25);
  // Who has no certificate asks every half minute.
  expect(worstUrgentS).toBeLessThanOrEqual(40);
  for (const { manager } of mesh.workloads) manager.close();
  setLogLevel('info');
}, 60_000);
