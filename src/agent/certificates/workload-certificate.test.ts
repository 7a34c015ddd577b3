import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import { createKeyAndCsr } from '../../identity/csr.ts';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import type { TlsSecret } from '../../xds/secret-source.ts';
import type { CaClient } from './ca-client.ts';
import { MountedCertificate } from './mounted-certificate.ts';
import { writeCertificates } from './output-certificates.ts';
import { AgentSecretSource } from './secret-source.ts';
import { renewalDelayMs, WorkloadCertificateManager } from './workload-certificate.ts';

const HOUR = 3_600_000;
const start = Math.floor(Date.now() / 1000) * 1000;
const authority = new CertificateAuthority(createSelfSignedCa({ organization: 'cluster.local', nowMs: start }), start);
const spiffeId = formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' });

function manager(clock: VirtualClock, answers: { fail: boolean; calls: number }, ttlSeconds = 24 * 3600): WorkloadCertificateManager {
  const ca: CaClient = {
    sign: (csr, ttlSeconds) => {
      answers.calls++;
      return answers.fail ? Promise.reject(new Error('no CA')) : Promise.resolve(authority.signCsr(csr, { spiffeId, nowMs: clock.now(), ttlMs: ttlSeconds * 1000 }));
    },
  };
  return new WorkloadCertificateManager({ ca, clock, uri: spiffeId, ttlSeconds, random: () => 0.5 });
}

/** Lets promises of a fake CA settle. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('WorkloadCertificateManager', () => {
  test('renews at half life, and everybody who watches gets the new one', async () => {
    const clock = new VirtualClock(start);
    const answers = { fail: false, calls: 0 };
    const workload = manager(clock, answers);
    await workload.start();
    const first = workload.certificate.value!;
    const seen: TlsSecret[] = [];
    new AgentSecretSource(workload, '/nonexistent').watch('default', (secret) => seen.push(secret));
    clock.advance(11 * HOUR);
    await settle();
    expect(answers.calls).toBe(1);
    clock.advance(2 * HOUR);
    await settle();
    expect(answers.calls).toBe(2);
    expect(workload.certificate.value!.privateKeyPem).not.toBe(first.privateKeyPem);
    expect(seen).toHaveLength(2);
    workload.close();
  });

  test('keeps the old certificate while the CA is away, and asks again', async () => {
    const clock = new VirtualClock(start);
    const answers = { fail: false, calls: 0 };
    const workload = manager(clock, answers);
    await workload.start();
    const first = workload.certificate.value!;
    answers.fail = true;
    clock.advance(13 * HOUR);
    await settle();
    expect(workload.certificate.value).toBe(first);
    expect(workload.lastError.value).toBe('no CA');
    answers.fail = false;
    clock.advance(60_000);
    await settle();
    expect(workload.certificate.value).not.toBe(first);
    expect(workload.lastError.value).toBeUndefined();
    workload.close();
  });

  test('a closed manager asks no more', async () => {
    const clock = new VirtualClock(start);
    const answers = { fail: false, calls: 0 };
    const workload = manager(clock, answers);
    await workload.start();
    workload.close();
    clock.advance(24 * HOUR);
    await settle();
    expect(answers.calls).toBe(1);
  });
});

describe('when renewal fails', () => {
  test('the old certificate is withdrawn when it expires, after warnings, and one request is asked again and again', async () => {
    const clock = new VirtualClock(start);
    const requests = new Set<string>();
    const warnings: number[] = [];
    let away = false;
    const ca: CaClient = {
      sign: (csr) => {
        requests.add(csr);
        return away ? Promise.reject(new Error('no CA')) : Promise.resolve(authority.signCsr(csr, { spiffeId, nowMs: clock.now(), ttlMs: HOUR }));
      },
    };
    const workload = new WorkloadCertificateManager({ ca, clock, uri: spiffeId, ttlSeconds: 3600, random: () => 0.5, onExpiring: (leftMs) => warnings.push(leftMs) });
    await workload.start();
    away = true;
    const endMs = workload.certificate.value!.notAfterMs;
    while (clock.now() < endMs - 1000) {
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
      expect(workload.certificate.value).toBeDefined();
    }
    expect(requests.size).toBe(2);
    expect(warnings.length).toBeGreaterThan(2);
    expect(warnings[0]).toBeLessThanOrEqual(HOUR / 4);
    clock.advance(1000);
    expect(workload.certificate.value).toBeUndefined();
    expect(workload.lastError.value).toMatch(/expired at .* and could not be renewed: no CA/);
    await settle();
    away = false;
    clock.advance(30_000);
    await settle();
    expect(workload.certificate.value).toBeDefined();
    expect(workload.lastError.value).toBeUndefined();
    workload.close();
  });

  test.each([
    ['for another key', (nowMs: number) => authority.signCsr(createKeyAndCsr({ uri: spiffeId }).csrPem, { spiffeId, nowMs }), /another key/],
    ['that is empty', () => [], /without a certificate/],
  ])('an answer %s is not taken', async (_, answer, message) => {
    const clock = new VirtualClock(start);
    const workload = new WorkloadCertificateManager({ ca: { sign: () => Promise.resolve(answer(clock.now())) }, clock, uri: spiffeId });
    await workload.start();
    expect(workload.certificate.value).toBeUndefined();
    expect(workload.lastError.value).toMatch(message);
    workload.close();
  });
});

test('a certificate that the roots of the mesh no longer carry is renewed within seconds', async () => {
  const clock = new VirtualClock(start);
  const answers = { fail: false, calls: 0 };
  const workload = manager(clock, answers);
  await workload.start();
  workload.checkAgainst(authority.rootCertPem);
  workload.checkAgainst('nonsense');
  clock.advance(60_000);
  await settle();
  expect(answers.calls).toBe(1);
  workload.checkAgainst(createSelfSignedCa({ organization: 'cluster.local', nowMs: start }).rootCertPem);
  clock.advance(10_000);
  await settle();
  expect(answers.calls).toBe(2);
  workload.close();
});

test.each(['rsa-2048', 'ec-p256'] as const)('a mounted %s certificate is followed, and OUTPUT_CERTS writes what it gets, for its owner only', async (keyType) => {
  const [mounted, written] = [mkdtempSync(join(tmpdir(), 'meltemi-mounted-')), mkdtempSync(join(tmpdir(), 'meltemi-written-'))];
  const put = () => {
    const { csrPem, privateKeyPem } = createKeyAndCsr({ uri: spiffeId, keyType });
    const [leaf = '', root = ''] = authority.signCsr(csrPem, { spiffeId, nowMs: start });
    for (const [name, text] of [['key.pem', privateKeyPem], ['cert-chain.pem', leaf], ['root-cert.pem', root]] as const) writeFileSync(join(mounted, name), text);
    return leaf;
  };
  const workload = new MountedCertificate(mounted);
  const first = put();
  await workload.start();
  expect(workload.certificate.value).toMatchObject({ chainPem: first, rootPem: authority.rootCertPem });
  const stop = writeCertificates(workload, written, false);
  expect(readFileSync(join(written, 'cert-chain.pem'), 'utf8')).toBe(first);
  expect(readFileSync(join(written, 'key.pem'), 'utf8')).toContain(keyType === 'rsa-2048' ? 'BEGIN RSA PRIVATE KEY' : 'BEGIN EC PRIVATE KEY');
  expect(readdirSync(written).map((name) => statSync(join(written, name)).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
  const second = put();
  for (let i = 0; i < 200 && workload.certificate.value?.chainPem !== second; i++) await settle();
  expect(readFileSync(join(written, 'cert-chain.pem'), 'utf8')).toBe(second);
  stop();
  workload.close();
  for (const directory of [mounted, written]) rmSync(directory, { recursive: true });
});

test('a short-lived certificate is renewed at half life too, though its start is dated back', async () => {
  const clock = new VirtualClock(start);
  const answers = { fail: false, calls: 0 };
  const workload = manager(clock, answers, 20);
  await workload.start();
  clock.advance(9000);
  await settle();
  expect(answers.calls).toBe(1);
  clock.advance(2000);
  await settle();
  expect(answers.calls).toBe(2);
  workload.close();
});

describe('renewalDelayMs', () => {
  test.each([
    [0, 24 * HOUR, 0.5, 12 * HOUR],
    [0, 24 * HOUR, 1, 12 * HOUR + 0.24 * HOUR],
    [0, 24 * HOUR, 0, 12 * HOUR - 0.24 * HOUR],
    [5000, 25_000, 0.5, 10_000],
    [1000, 0, 0.5, 1000],
    [0, 365 * 24 * HOUR, 0.5, 2 ** 31 - 1],
  ])('from %i to %i with random %f is %i ms', (now, to, random, delay) => expect(renewalDelayMs(now, to, { random: () => random })).toBeCloseTo(delay, 0));
});

test('ROOTCA holds the root of the CA that signed us', async () => {
  const workload = manager(new VirtualClock(start), { fail: false, calls: 0 });
  await workload.start();
  const seen: TlsSecret[] = [];
  new AgentSecretSource(workload, '/nonexistent').watch('ROOTCA', (secret) => seen.push(secret));
  expect(seen).toEqual([{ name: 'ROOTCA', kind: 'validation', trustedCaPem: authority.rootCertPem }]);
  workload.close();
});
