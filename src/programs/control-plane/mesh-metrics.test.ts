import { describe, expect, it } from 'vitest';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { resolve } from '../../resolve/resolve.ts';
import { encodeMetrics } from '../../telemetry/metrics/exposition.ts';
import { meshFindings } from './mesh-findings.ts';
import { createMetrics } from './metrics.ts';

const object = (kind: string, apiVersion: string, name: string, rest: object, namespace = 'default'): KubeObject => ({ apiVersion, kind, metadata: { name, namespace }, ...rest }) as KubeObject;
const service = (name: string, protocol: string, spec: object = {}) => object('Service', 'v1', name, { spec: { clusterIP: `10.96.0.${name.charCodeAt(0)}`, selector: { app: 'a' }, ports: [{ name: protocol, port: 80, targetPort: 8080 }], ...spec } });
const slice = (name: string, port: string, endpoints: readonly object[]) => object('EndpointSlice', 'discovery.k8s.io/v1', name, { metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': name } }, addressType: 'IPv4', ports: [{ name: port, port: 8080, protocol: 'TCP' }], endpoints });
const pod = object('Pod', 'v1', 'a', { metadata: { name: 'a', namespace: 'default', labels: { app: 'a' } }, spec: { containers: [] }, status: { phase: 'Running', podIP: '10.244.0.1' } });
const ready = { addresses: ['10.244.0.1'], conditions: { ready: true } };
const networking = (kind: string, name: string, spec: object, namespace?: string) => object(kind, 'networking.istio.io/v1', name, { spec }, namespace);
const entry = (name: string, host: string, protocol: string, spec: object = {}) => networking('ServiceEntry', name, { hosts: [host], location: 'MESH_EXTERNAL', resolution: 'STATIC', ports: [{ number: 3306, name: 'p', protocol }], endpoints: [{ address: '192.0.2.1' }], ...spec });
const route = (host: string) => ({ hosts: [host], http: [{ route: [{ destination: { host } }] }] });

function snapshotOf(objects: readonly KubeObject[], meshConfig: unknown = {}) {
  return resolve({ objects, meshConfig, domainSuffix: 'cluster.local', clusterId: 'Kubernetes', rootNamespace: 'istio-system' }).snapshot;
}
const find = (...objects: KubeObject[]) => meshFindings(snapshotOf(objects));

describe('what is odd about a mesh', () => {
  it('finds nothing in a mesh that is well', () => {
    expect(Object.values(find(pod, service('a', 'http'), slice('a', 'http', [ready]), networking('VirtualService', 'one', route('a'))))).toEqual(Array(8).fill(0));
  });

  it('counts services without endpoints, endpoints that are not ready, and those without a pod', () => {
    expect(find(service('a', 'http'), slice('a', 'http', []))).toMatchObject({ emptyServices: 1, unreadyEndpoints: 0 });
    expect(find(pod, service('a', 'http'), slice('a', 'http', [{ ...ready, conditions: { ready: false, serving: true, terminating: true } }]))).toMatchObject({ unreadyEndpoints: 1, endpointsWithoutPod: 0 });
    expect(find(service('a', 'http'), slice('a', 'http', [{ ...ready, targetRef: { kind: 'Pod', name: 'gone' } }]))).toMatchObject({ endpointsWithoutPod: 1 });
  });

  it('counts a workload port that two services name differently, and not one they agree on', () => {
    const two = (protocol: string) => find(pod, service('a', 'http'), slice('a', 'http', [ready]), service('b', protocol), slice('b', protocol, [ready])).inboundConflicts;
    expect([two('http'), two('tcp')]).toEqual([0, 1]);
  });

  it('counts addresses that two hosts claim for TCP', () => {
    const at = (address: string) => ({ addresses: [address] });
    expect(find(entry('a', 'a.test', 'TCP', at('198.51.100.1')), entry('b', 'b.test', 'TCP', at('198.51.100.1'))).tcpConflicts).toBe(1);
    expect(find(entry('a', 'a.test', 'TCP', at('198.51.100.1')), entry('b', 'b.test', 'TCP', at('198.51.100.2'))).tcpConflicts).toBe(0);
    expect(find(entry('a', 'a.test', 'HTTP', at('198.51.100.1')), entry('b', 'b.test', 'HTTP', at('198.51.100.1'))).tcpConflicts).toBe(0);
  });

  it('counts hosts and subsets that are declared twice where one proxy sees both', () => {
    const host = 'a.default.svc.cluster.local';
    expect(find(networking('VirtualService', 'one', route(host)), networking('VirtualService', 'two', route(host))).duplicateDomains).toBe(1);
    expect(find(networking('VirtualService', 'one', { ...route(host), exportTo: ['.'] }), networking('VirtualService', 'two', { ...route(host), exportTo: ['.'] }, 'other')).duplicateDomains).toBe(0);
    const rule = (name: string, subset: string) => networking('DestinationRule', name, { host, subsets: [{ name: subset, labels: { version: subset } }] });
    expect([find(rule('one', 'v1'), rule('two', 'v1')).duplicateSubsets, find(rule('one', 'v1'), rule('two', 'v2')).duplicateSubsets]).toEqual([1, 0]);
  });
});

describe('the control plane\'s metrics', () => {
  it('show what the snapshot has and what happened', () => {
    const policy = object('AuthorizationPolicy', 'security.istio.io/v1', 'ask', { spec: { action: 'CUSTOM', provider: { name: 'nobody' }, rules: [{}] } });
    const snapshot = snapshotOf([service('a', 'http'), policy]);
    const issue = { severity: 'error', code: 'IST0101', object: { kind: 'VirtualService', namespace: 'default', name: 'x' }, path: '', message: '' } as const;
    const metrics = createMetrics({
      version: 'test', startedAtMs: 0, now: () => 0, connected: () => 0, rootExpiresAtMs: () => 0, chainExpiresAtMs: () => 5000, cache: () => ({ size: 7, duplicateClusters: 2 }),
      snapshot: () => snapshot, issues: () => [issue, issue], views: () => [],
    });
    metrics.change({ type: 'added', object: service('a', 'http') });
    const text = () => encodeMetrics(metrics.registry);
    expect(text()).toContain('pilot_worker_queue_depth{queueName="mesh"} 1');
    metrics.update({ snapshot, version: '1970-01-01T00:00:03.000Z/1', endpointsOf: undefined, addresses: new Set(), sinceMs: 1000, changeCount: 1, resolveMs: 500 });
    const spiffeId = formatSpiffeId({ trustDomain: 'a', namespace: 'b', serviceAccount: 'c' });
    metrics.certificate({ kind: 'bad-request', reason: 'csr', spiffeId, message: '' });
    metrics.certificate({ kind: 'bad-request', reason: 'signing', spiffeId, message: '' });
    metrics.webhookPatch({ configuration: 'istiod', validating: true, failure: '' });
    metrics.webhookPatch({ configuration: 'istiod', validating: false, failure: 'Forbidden' });
    metrics.validationError(413);
    metrics.cacheRead(true);
    metrics.cacheEvicted();
    for (const line of [
      'pilot_worker_queue_depth{queueName="mesh"} 0', 'pilot_worker_queue_latency_sum{queueName="mesh"} 1.5', 'pilot_worker_queue_duration_sum{queueName="mesh"} 0.5', 'provider_lookup_cluster_failures 1',
      'citadel_server_csr_parsing_err_count 1', 'citadel_server_csr_sign_err_count 1', 'citadel_server_cert_chain_expiry_seconds 5', 'webhook_patch_attempts_total{name="istiod"} 2',
      'webhook_patch_failures_total{name="istiod",reason="Forbidden"} 1', 'galley_validation_config_updates 1', 'galley_validation_http_error{status="413"} 1', 'xds_cache_reads{type="hit"} 1',
      'xds_cache_reads{type="miss"} 0', 'xds_cache_evictions{type="evict"} 1', 'xds_cache_size 7', 'pilot_duplicate_envoy_clusters 2', 'pilot_eds_no_instances 1', 'pilot_total_rejected_configs 1', 'pilot_envoy_filter_status 0',
    ]) expect(text().split('\n')).toContain(line);
  });
});
