import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import type { TlsSecret } from '../../xds/secret-source.ts';
import type { CaClient } from './ca-client.ts';
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
