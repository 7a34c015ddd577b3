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

test('parseDownwardFile', () => expect(parseDownwardFile('a="1"\n\nb="x=y"\n__proto__="p"\nbroken')).toEqual({ a: '1', b: 'x=y' }));
