import { describe, expect, test } from 'vitest';
import { parseDownwardFile, parseProxyArgs, resolveSettings } from './settings.ts';

const env = {
  POD_NAME: 'reviews-v1-abc', POD_NAMESPACE: 'bookinfo', INSTANCE_IP: '10.244.0.7', SERVICE_ACCOUNT: 'bookinfo-reviews', TRUST_DOMAIN: 'cluster.local', CA_ADDR: 'istiod.istio-system.svc:15012',
  PROXY_CONFIG: '{"discoveryAddress":"istiod-canary.istio-system.svc:15012","terminationDrainDuration":"7s"}\n', ISTIO_META_WORKLOAD_NAME: 'reviews-v1', ISTIO_META_CLUSTER_ID: 'Kubernetes',
  ISTIO_META_POD_PORTS: '[\n    {"containerPort":9080}\n]',
};
const files: Record<string, string> = {
  '/etc/istio/pod/labels': 'app="reviews"\nversion="v1"\nistio-locality="r1.z1.s1"\n__proto__="x"',
  '/etc/istio/pod/annotations': 'note="say \\"hi\\"\\n"\n',
};
const settings = resolveSettings(['sidecar', '--domain', '$(POD_NAMESPACE).svc.cluster.local', '--proxyLogLevel=warning', '--log_output_level=default:debug'], env, (path) => files[path], ['10.244.0.7', 'fd00::7'], '1.2.3');

describe('resolveSettings', () => {
  test('node id, addresses and certificate name', () =>
    expect(settings).toMatchObject({
      identity: { id: 'sidecar~10.244.0.7~reviews-v1-abc.bookinfo~bookinfo.svc.cluster.local', cluster: 'reviews.bookinfo', locality: { region: 'r1', zone: 'z1', subZone: 's1' } },
      discoveryAddress: 'istiod-canary.istio-system.svc:15012', caAddress: 'istiod.istio-system.svc:15012', spiffeId: 'spiffe://cluster.local/ns/bookinfo/sa/bookinfo-reviews',
      logLevel: 'debug', proxyConfig: { terminationDrainDurationMs: 7000, statusPort: 15020 },
    }));
  test('metadata carry what the control plane reads', () =>
    expect(settings.identity.metadata).toMatchObject({
      NAME: 'reviews-v1-abc', NAMESPACE: 'bookinfo', SERVICE_ACCOUNT: 'bookinfo-reviews', WORKLOAD_NAME: 'reviews-v1', CLUSTER_ID: 'Kubernetes', INSTANCE_IPS: '10.244.0.7,fd00::7',
      LABELS: { app: 'reviews', version: 'v1', 'istio-locality': 'r1/z1/s1' }, ANNOTATIONS: { note: 'say "hi"\n' }, POD_PORTS: '[{"containerPort":9080}]', ISTIO_VERSION: '1.2.3',
    }));
  test.each([
    [['waypoint'], /sidecar or router/],
    [['sidecar', '--nonsense'], /unknown flag: --nonsense/],
  ])('%j is refused', (args, message) => expect(() => resolveSettings(args, {}, () => undefined, [], '1')).toThrow(message));
});

test('every argument of the injector is known', () =>
  expect(parseProxyArgs(['sidecar', '--domain', 'x', '--proxyLogLevel=a', '--proxyComponentLogLevel=b', '--log_output_level=c', '--concurrency', '2', '--stsPort=1', '--log_as_json', '--serviceCluster', 's']).problems).toEqual([]));

test.each([
  [['--concurrency', '3'], {}, { workers: 3, source: '--concurrency' }],
  [[], { PROXY_CONFIG: '{"concurrency":0}', ISTIO_CPU_LIMIT: '2' }, { workers: 0, source: 'ProxyConfig' }],
  [[], { ISTIO_CPU_LIMIT: '2' }, { workers: 2, source: 'CPU limit' }],
])('workers by %j and %j', (args, extra, expected) => expect(resolveSettings(['sidecar', ...args], { ...env, ...extra }, () => undefined, [], '1').concurrency).toEqual(expected));

test('parseDownwardFile', () => expect(parseDownwardFile('a="1"\n\nb="x=y"\n__proto__="p"\nbroken')).toEqual({ a: '1', b: 'x=y' }));

describe('certificates', () => {
  const of = (extra: Record<string, string>, read: (path: string) => string | undefined = () => undefined) => resolveSettings(['sidecar'], { ...env, ...extra }, read, [], '1');
  test.each([
    [{}, 'ec-p256'],
    [{ WORKLOAD_RSA_KEY_SIZE: '2048' }, 'rsa-2048'],
    [{ WORKLOAD_RSA_KEY_SIZE: '4096' }, 'rsa-4096'],
    [{ WORKLOAD_RSA_KEY_SIZE: '2048', ECC_SIGNATURE_ALGORITHM: 'ECDSA' }, 'ec-p256'],
    [{ ECC_SIGNATURE_ALGORITHM: 'ECDSA', ECC_CURVE: 'P384' }, 'ec-p384'],
  ])('%j makes %s keys', (extra, keyType) => expect(of(extra).keyType).toBe(keyType));
  test.each([
    [{ WORKLOAD_RSA_KEY_SIZE: '1024' }, '2048, 3072 or 4096'], [{ ECC_SIGNATURE_ALGORITHM: 'ED25519' }, 'use ECDSA'], [{ ECC_CURVE: 'P521' }, 'P256 or P384'],
    [{ SECRET_GRACE_PERIOD_RATIO: '2' }, 'between 0 and 1'], [{ SECRET_TTL: 'tomorrow' }, 'SECRET_TTL=tomorrow'], [{ CA_PROVIDER: 'Vault' }, 'CA_PROVIDER=Vault'],
  ])('%j is refused by name', (extra, message) => expect(() => of(extra)).toThrow(message));
  test('a CA elsewhere has its own address and roots', () =>
    expect(of({ CA_ADDR: 'ca.example.com:443', CA_ROOT_CA: '/etc/ca.pem', XDS_ROOT_CA: '/etc/xds.pem', SECRET_TTL: '1h30m', SECRET_GRACE_PERIOD_RATIO: '0.3' })).toMatchObject({
      caAddress: 'ca.example.com:443', caRootPath: '/etc/ca.pem', rootPath: '/etc/xds.pem', certificateTtlMs: 5_400_000, renewal: { graceFraction: 0.3, jitterFraction: 0.01 }, mountedCertificates: undefined,
    }));
  test('certificates that are mounted win', () => {
    const machine = (path: string): boolean => path.startsWith('/etc/istio/config');
    expect(of({}, (path) => (machine(path) ? undefined : 'x')).mountedCertificates).toBe('/var/run/secrets/workload-spiffe-credentials');
    expect(of({}, (path) => (machine(path) || path.endsWith('key.pem') ? undefined : 'x')).mountedCertificates).toBeUndefined();
    expect(of({ FILE_MOUNTED_CERTS: 'true' }).mountedCertificates).toBe('/etc/certs');
  });
});
