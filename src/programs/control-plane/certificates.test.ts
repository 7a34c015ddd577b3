// The CA's material in Secrets of a real embedded API: who changes it, and who follows.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { createSelfSignedCa } from '../../identity/ca.ts';
import { parseCertificate, splitCertificates } from '../../identity/certificate.ts';
import { startTestServer, type TestServer } from '../../kube/server/testing.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { NAMESPACE, SECRET } from '../../objects/resource-types.ts';
import { selfSignedStateOf, secretOf, type SecretObject } from './ca-material.ts';
import { readCaSettings } from './ca-settings.ts';
import { loadCertificates, type Certificates } from './certificates.ts';

const HOUR = 3_600_000;
const startMs = Math.floor(Date.now() / 1000) * 1000;
const environment = { CITADEL_SELF_SIGNED_CA_CERT_TTL: '100h', MAX_WORKLOAD_CERT_TTL: '2h', CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR: 'false' };

let server: TestServer;
const abort = new AbortController();
beforeAll(async () => void (server = await startTestServer()));
afterAll(async () => {
  abort.abort();
  await server.close();
});

async function load(namespace: string, clock: VirtualClock, env: Record<string, string> = environment): Promise<Certificates> {
  return loadCertificates({ client: server.client, systemNamespace: namespace, revision: '', trustDomain: 'cluster.local', settings: readCaSettings(env), clock, signal: abort.signal });
}

const makeNamespace = (name: string) => server.client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } as KubeObject);
const read = (namespace: string, name = 'istio-ca-secret') => server.client.get<SecretObject>(SECRET, name, namespace);

async function until(read: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await read()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`timed out: ${what}`);
}

describe('the self-signed root', () => {
  it('is changed in its secret by one replica, and the other follows; the serving certificate goes with it', async () => {
    await makeNamespace('rotating');
    const clock = new VirtualClock(startMs);
    const [first, second] = [await load('rotating', clock), await load('rotating', clock)];
    const old = first.rootCertPem;
    expect(second.rootCertPem).toBe(old);
    const rotations: number[] = [];
    first.onRotate(() => rotations.push(splitCertificates(first.rootCertPem).length));
    const seen = new Set<string>();
    for (let hour = 0; hour < 90; hour++) {
      clock.advance(HOUR);
      if (hour >= 78) await until(async () => first.rootCertPem === selfSignedStateOf(await read('rotating'))?.material.rootCertPem && first.rootCertPem === second.rootCertPem, 'both replicas');
      seen.add(`${splitCertificates(first.rootCertPem).length} ${first.rootCertPem.startsWith(old) ? 'old' : 'new'}`);
    }
    expect([...seen]).toEqual(['1 old', '2 old', '2 new', '1 new']);
    expect(rotations).toEqual(expect.arrayContaining([2, 2, 1]));
    expect(parseCertificate(first.serving.certificateChainPem).notAfterMs).toBeGreaterThan(clock.now());
    expect((await read('rotating'))?.data).not.toHaveProperty('next-ca-key.pem');
  });

  it('that expired while nobody was there is changed before anything is signed', async () => {
    await makeNamespace('expired');
    const material = createSelfSignedCa({ organization: 'cluster.local', nowMs: startMs - 101 * HOUR, ttlMs: 100 * HOUR });
    await server.client.create<SecretObject>(SECRET, secretOf({ material }, { name: 'istio-ca-secret', namespace: 'expired' }));
    const certificates = await load('expired', new VirtualClock(startMs));
    expect(parseCertificate(certificates.rootCertPem).notAfterMs).toBeGreaterThan(startMs);
  });

  it('is never changed when somebody plugged it in, nor with an interval of 0', async () => {
    await makeNamespace('plugged');
    const material = createSelfSignedCa({ organization: 'corp', nowMs: startMs, ttlMs: 100 * HOUR });
    // Copied from a secret of ours, with its type.
    await server.client.create<SecretObject>(SECRET, secretOf({ material }, { name: 'cacerts', namespace: 'plugged' }));
    await makeNamespace('still');
    const clock = new VirtualClock(startMs);
    const [plugged, still] = [await load('plugged', clock), await load('still', clock, { ...environment, CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL: '0' })];
    const roots = [material.rootCertPem, still.rootCertPem];
    for (let hour = 0; hour < 95; hour++) clock.advance(HOUR);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([plugged.rootCertPem, still.rootCertPem]).toEqual(roots);
    expect(await read('plugged')).toBeUndefined();
  });

  it('is kept in cacerts when asked for', async () => {
    await makeNamespace('kept');
    const certificates = await load('kept', new VirtualClock(startMs), { ...environment, USE_CACERTS_FOR_SELF_SIGNED_CA: 'true', CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE: '2048' });
    expect(selfSignedStateOf(await read('kept', 'cacerts'))?.material.rootCertPem).toBe(certificates.rootCertPem);
    expect(await read('kept')).toBeUndefined();
  });
});

describe('readCaSettings', () => {
  it.each([
    [{ CITADEL_SELF_SIGNED_CA_CERT_TTL: 'long' }, /CITADEL_SELF_SIGNED_CA_CERT_TTL=long is not a duration/],
    [{ CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE: '1024' }, /2048, 3072 or 4096/],
    [{ CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE: '100' }, /between 0 and 100/],
    [{ EXTERNAL_CA: 'ISTIOD_RA_ISTIO_API' }, /the only one is ISTIOD_RA_KUBERNETES_API/],
    [{ EXTERNAL_CA: 'ISTIOD_RA_KUBERNETES_API' }, /needs K8S_SIGNER/],
  ])('says what is wrong with %j, and goes on', (env, problem) => expect(readCaSettings(env).problems.join()).toMatch(problem));
});
