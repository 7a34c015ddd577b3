import { describe, expect, it } from 'vitest';
import { IstioMetrics, istioLabels } from './istio-metrics.ts';
import { createRegistry } from './metrics/registry.ts';
import { peer, record } from './testing/record.ts';
import type { TrafficRecord } from './traffic-record.ts';

const local = peer('sleep', 'clients');
const options = { local, disableHostHeaderFallback: false };
const A = 'spiffe://cluster.local/ns/clients/sa/sleep';
const B = 'spiffe://cluster.local/ns/shop/sa/productpage';

describe('labels', () => {
  it('are 25, own side as source', () => {
    const labels = istioLabels(record({ localPrincipal: A, peerPrincipal: B }), options);
    expect(Object.keys(labels)).toHaveLength(25);
    expect(labels).toEqual({
      reporter: 'source', source_workload: 'sleep-v1', source_canonical_service: 'sleep', source_canonical_revision: 'v1', source_workload_namespace: 'clients', source_principal: A, source_app: 'sleep', source_version: 'v1', source_cluster: 'Kubernetes',
      destination_workload: 'productpage-v1', destination_workload_namespace: 'shop', destination_principal: B, destination_app: 'productpage', destination_version: 'v1', destination_service: 'productpage.default.svc.cluster.local',
      destination_canonical_service: 'productpage', destination_canonical_revision: 'v1', destination_service_name: 'productpage', destination_service_namespace: 'shop', destination_cluster: 'Kubernetes',
      request_protocol: 'http', response_code: '200', grpc_response_status: '', response_flags: '-', connection_security_policy: 'unknown',
    });
  });

  it.each<[string, Partial<TrafficRecord>, Record<string, string>]>([
    ['inbound mutual TLS', { direction: 'inbound', localPrincipal: A, peerPrincipal: B }, { reporter: 'destination', connection_security_policy: 'mutual_tls', source_principal: B, destination_principal: A, source_workload: 'productpage-v1', source_workload_namespace: 'shop', destination_workload: 'sleep-v1', destination_service_namespace: 'clients' }],
    ['inbound plaintext from nobody', { direction: 'inbound', peer: undefined }, { connection_security_policy: 'none', source_workload: 'unknown', source_app: 'unknown', source_canonical_revision: 'latest', source_workload_namespace: 'unknown', source_principal: 'unknown', source_cluster: 'unknown' }],
    ['gateway reports as source', { direction: 'gateway' }, { reporter: 'source' }],
    ['unknown peer', { peer: undefined }, { destination_workload: 'unknown', destination_version: 'unknown', destination_canonical_revision: 'latest', destination_service_namespace: 'unknown' }],
    ['no service metadata: Host', { destinationService: undefined }, { destination_service: 'productpage:9080', destination_service_name: 'productpage:9080' }],
    ['service without a name: first label', { destinationService: { host: 'a.b.c', name: '', namespace: '' } }, { destination_service_name: 'a' }],
    ['block_all', { routeName: 'block_all', destinationService: undefined }, { destination_service_name: 'BlackHoleCluster' }],
    ['allow_any', { routeName: 'allow_any', destinationService: undefined }, { destination_service_name: 'PassthroughCluster' }],
    ['passthrough TCP', { protocol: 'tcp', upstreamCluster: 'PassthroughCluster', destinationService: undefined, routeName: '', responseCode: 0 }, { destination_service_name: 'PassthroughCluster', destination_service: 'unknown', request_protocol: 'tcp', response_code: '0' }],
    ['grpc', { grpc: true, grpcStatus: '14', responseFlags: ['UH'] }, { request_protocol: 'grpc', grpc_response_status: '14', response_flags: 'UH' }],
    ['flags join', { responseFlags: ['UF', 'URX'], responseCode: 503 }, { response_flags: 'UF,URX', response_code: '503' }],
  ])('%s', (_, changes, expected) => expect(istioLabels(record(changes), options)).toMatchObject(expected));

  it('does not take the Host header when told not to', () => {
    expect(istioLabels(record({ destinationService: undefined }), { ...options, disableHostHeaderFallback: true }).destination_service).toBe('unknown');
    expect(istioLabels(record({ destinationService: undefined, direction: 'inbound' }), { ...options, disableHostHeaderFallback: true }).destination_service).toBe('sleep');
  });
});

describe('series', () => {
  it('counts requests, durations and wire bytes once per label set', () => {
    const registry = createRegistry();
    const metrics = new IstioMetrics({ registry, ...options });
    metrics.request(record({ durationMs: 3 }));
    metrics.request(record({ durationMs: 7, peer: peer('productpage') }));
    metrics.request(record({ responseCode: 500 }));
    const counts = [...registry.counter('istio_requests_total', '').handles()].map((h) => [h.labels['response_code'], h.value]);
    expect(counts).toEqual([['200', 2], ['500', 1]]);
    const [duration] = registry.histogram('istio_request_duration_milliseconds', '').handles();
    expect([duration!.count, duration!.sum, duration!.cells[2], duration!.cells[3]]).toEqual([2, 10, 1, 1]);
    expect([...registry.histogram('istio_request_bytes', '').handles()][0]!.sum).toBe(620);
  });

  it('counts gRPC messages only when there were any', () => {
    const registry = createRegistry();
    const metrics = new IstioMetrics({ registry, ...options });
    metrics.request(record({ grpc: true, grpcStatus: '0', requestMessages: 2, responseMessages: 5 }));
    expect([...registry.counter('istio_response_messages_total', '').handles()].map((h) => h.value)).toEqual([5]);
  });

  it('keeps hostile Host headers and statuses from making series without end', () => {
    const registry = createRegistry();
    const metrics = new IstioMetrics({ registry, ...options, maxLabelSets: 3 });
    for (let i = 0; i < 50; i++) metrics.request(record({ destinationService: undefined, authority: `h${i}`, peer: peer(`p${i}`) }));
    metrics.request(record({ grpc: true, grpcStatus: 'h' }));
    expect(registry.counter('istio_requests_total', '').size).toBe(5);
    expect([...registry.counter('istio_requests_total', '').handles()].map(({ labels, value }) => [labels['destination_service'], labels['request_protocol'], labels['grpc_response_status'], value]).slice(2)).toEqual([['h2', 'http', '', 1], ['unknown', 'http', '', 47], ['unknown', 'grpc', '', 1]]);
  });

  it('follows a TCP connection', () => {
    const registry = createRegistry();
    const metrics = new IstioMetrics({ registry, ...options });
    const connection = record({ protocol: 'tcp', responseCode: 0, authority: '' });
    metrics.opened(connection);
    metrics.bytes(connection, 10, 20);
    metrics.bytes(connection, 1, 2);
    metrics.closed(connection);
    const value = (name: string) => [...registry.counter(name, '').handles()].map((h) => h.value);
    expect([value('istio_tcp_received_bytes_total'), value('istio_tcp_sent_bytes_total'), value('istio_tcp_connections_opened_total'), value('istio_tcp_connections_closed_total')]).toEqual([[11], [22], [1], [1]]);
  });
});
