import type { JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { fromEnvoyJson } from '../../xds/registry.ts';
import { createClusterStats } from '../stats.ts';
import type { PickContext } from './cluster.ts';
import { compileCluster } from './compile.ts';
import { EdfScheduler } from './edf.ts';
import { compileAssignment } from './endpoints.ts';
import { buildMaglev, buildRing } from './hash-ring.ts';
import { priorityLoads } from './priority-set.ts';
import { RuntimeCluster } from './runtime-cluster.ts';
import { xxHash64 } from './xxhash64.ts';

const T = 'type.googleapis.com/';

/** A small deterministic generator: same draws on every run. */
function draws(seed = 1): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

interface Spec { port: number; weight?: number; priority?: number; health?: string; zone?: string; zoneWeight?: number; tlsMode?: string; ip?: string }

function assignment(hosts: Spec[], policy: JsonObject = {}) {
  return compileAssignment(
    fromEnvoyJson(ClusterLoadAssignmentSchema, {
      clusterName: 'c', policy,
      endpoints: hosts.map(({ port, weight, priority, health, zone, zoneWeight, tlsMode, ip }) => ({
        ...(priority && { priority }), ...(zone && { locality: { zone } }), ...(zoneWeight && { loadBalancingWeight: zoneWeight }),
        lbEndpoints: [{ ...(weight && { loadBalancingWeight: weight }), ...(health && { healthStatus: health }), ...(tlsMode && { metadata: { filterMetadata: { 'envoy.transport_socket_match': { tlsMode } } } }), endpoint: { address: { socketAddress: { address: ip ?? '10.0.0.1', portValue: port } } } }],
      })),
    }),
  );
}

function start(hosts: Spec[], json: JsonObject = {}, policy: JsonObject = {}) {
  const clock = new VirtualClock(1_000_000);
  const random = draws();
  const stats = createClusterStats();
  const cluster = new RuntimeCluster(compileCluster(fromEnvoyJson(ClusterSchema, { name: 'c', type: 'EDS', ...json }), () => clock.now()), { clock, random, resolve: async () => [], stats });
  cluster.setAssignment(assignment(hosts, policy));
  const context = (more: Partial<PickContext> = {}): PickContext => ({ hashKey: undefined, previous: [], originalDestination: undefined, random, ...more });
  const counts = (times: number) => {
    const seen = new Map<number, number>();
    for (let i = 0; i < times; i++) {
      const port = cluster.pick(context())?.port ?? 0;
      seen.set(port, (seen.get(port) ?? 0) + 1);
    }
    return Object.fromEntries(seen);
  };
  return { cluster, clock, stats, context, counts };
}

describe('balancing', () => {
  it('goes round in turns, by weight with the smallest bursts', () => {
    expect(start([{ port: 1 }, { port: 2 }, { port: 3 }]).counts(9)).toEqual({ 1: 3, 2: 3, 3: 3 });
    expect(start([{ port: 1, weight: 3 }, { port: 2, weight: 1 }]).counts(400)).toEqual({ 1: 300, 2: 100 });
  });

  it('EDF gives every item its share for any weights', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 }), (weights) => {
        const scheduler = new EdfScheduler(weights.map((_, index) => index), (index) => weights[index]!, () => 0);
        const total = weights.reduce((a, b) => a + b, 0);
        const seen = weights.map(() => 0);
        for (let i = 0; i < total * 10; i++) seen[scheduler.pick()!]!++;
        seen.forEach((count, index) => expect(Math.abs(count - weights[index]! * 10)).toBeLessThanOrEqual(1));
      }),
    );
  });

  it('LEAST_REQUEST takes the less busy of two draws', () => {
    const { cluster, counts } = start([{ port: 1 }, { port: 2 }], { lbPolicy: 'LEAST_REQUEST' });
    cluster.hosts[0]!.activeRequests = 5;
    const seen = counts(1000);
    expect(seen[1]! / 1000).toBeGreaterThan(0.2);
    expect(seen[1]! / 1000).toBeLessThan(0.3);
  });

  it('LEAST_REQUEST weighs by active requests when weights differ', () => {
    const { cluster, counts } = start([{ port: 1, weight: 4 }, { port: 2, weight: 1 }], { lbPolicy: 'LEAST_REQUEST' });
    expect(counts(500)).toEqual({ 1: 400, 2: 100 });
    cluster.hosts[0]!.activeRequests = 3;
    const seen = counts(1000);
    expect(Math.abs(seen[1]! - 500)).toBeLessThan(10);
  });

  it('RANDOM is fair', () => {
    const seen = start([{ port: 1 }, { port: 2 }], { lbPolicy: 'RANDOM' }).counts(2000);
    expect(Math.abs(seen[1]! - 1000)).toBeLessThan(120);
  });

  it.each([['RING_HASH'], ['MAGLEV']])('%s keeps a key on its host and moves few keys when one leaves', (lbPolicy) => {
    const { cluster, context } = start([1, 2, 3, 4].map((port) => ({ port })), { lbPolicy });
    const where = () => Array.from({ length: 400 }, (_, i) => cluster.pick(context({ hashKey: `user-${i}` }))!.port);
    const before = where();
    expect(where()).toEqual(before);
    for (const port of [1, 2, 3, 4]) expect(before.filter((p) => p === port).length).toBeGreaterThan(60);
    cluster.setAssignment(assignment([1, 2, 3].map((port) => ({ port }))));
    const moved = where().filter((port, i) => port !== before[i]! && before[i] !== 4).length;
    expect(moved).toBeLessThan(50);
  });

  it('rings give weight its share', () => {
    const targets = [{ address: 'a', weight: 3 }, { address: 'b', weight: 1 }];
    for (const find of [buildRing(targets), buildMaglev(targets, 1009)]) {
      const share = Array.from({ length: 4000 }, (_, i) => find(xxHash64(`k${i}`))!.address).filter((address) => address === 'a').length / 4000;
      expect(share).toBeGreaterThan(0.68);
      expect(share).toBeLessThan(0.82);
    }
  });

  it('avoids hosts that were tried, unless there is no other', () => {
    const { cluster, context } = start([{ port: 1 }, { port: 2 }]);
    const [first, second] = cluster.hosts;
    for (let i = 0; i < 10; i++) expect(cluster.pick(context({ previous: [first!] }))).toBe(second);
    expect(cluster.pick(context({ previous: [first!, second!] }))).toBeDefined();
  });

  it('starts new hosts slowly', () => {
    const { cluster, clock, counts } = start([{ port: 1 }], { roundRobinLbConfig: { slowStartConfig: { slowStartWindow: '10s', minWeightPercent: { value: 10 } } } });
    clock.advance(60_000);
    cluster.setAssignment(assignment([{ port: 1 }, { port: 2 }]));
    expect(counts(110)[2]!).toBeLessThan(15);
    clock.advance(10_000);
    const seen = counts(200);
    expect(Math.abs(seen[2]! - 100)).toBeLessThan(5);
  });
});

describe('health and priorities', () => {
  const group = (healthy: number, total: number) => Array.from({ length: total }, (_, i) => ({ healthy: i < healthy }));
  it.each([
    [[[10, 10]], [100]],
    [[[7, 10], [3, 3]], [98, 2]],
    [[[5, 10], [10, 10]], [70, 30]],
    [[[0, 10], [10, 10]], [0, 100]],
    [[[2, 10], [2, 10]], [50, 50]],
    [[[0, 2], [0, 2]], [0, 0]],
    [[[0, 0], [1, 1]], [0, 100]],
  ])('loads of %j are %j', (groups, loads) => expect(priorityLoads(groups.map(([healthy, total]) => group(healthy!, total!)), 1.4).loads.map(Math.round)).toEqual(loads));

  it('sends the share that a priority cannot take to the next', () => {
    const hosts: Spec[] = [{ port: 1 }, { port: 1001, health: 'UNHEALTHY' }, { port: 2, priority: 1 }];
    const seen = start(hosts, { commonLbConfig: { healthyPanicThreshold: {} } }).counts(1000);
    expect(Object.keys(seen)).toEqual(['1', '2']);
    expect(Math.abs(seen[1]! - 700)).toBeLessThan(50);
  });

  it('panics below the threshold, and answers nobody when the threshold is zero', () => {
    const hosts: Spec[] = [{ port: 1, health: 'UNHEALTHY' }, { port: 2, health: 'UNHEALTHY' }];
    const panicking = start(hosts);
    expect(Object.keys(panicking.counts(10))).toEqual(['1', '2']);
    expect(panicking.stats.counters.lb_healthy_panic).toBe(10);
    const strict = start(hosts, { commonLbConfig: { healthyPanicThreshold: {} } });
    expect(strict.counts(3)).toEqual({ 0: 3 });
    expect(strict.stats.counters.lb_healthy_panic).toBe(0);
  });

  it('weighs localities where the cluster says so', () => {
    const hosts: Spec[] = [{ port: 1, zone: 'a', zoneWeight: 80 }, { port: 2, zone: 'b', zoneWeight: 20 }];
    const seen = start(hosts, { commonLbConfig: { localityWeightedLbConfig: {} } }).counts(2000);
    expect(Math.abs(seen[1]! - 1600)).toBeLessThan(80);
    expect(start(hosts).counts(10)).toEqual({ 1: 5, 2: 5 });
  });
});

describe('outlier detection', () => {
  const strict: JsonObject = { outlierDetection: { consecutive5xx: 3, interval: '10s', baseEjectionTime: '30s', maxEjectionPercent: 100 }, commonLbConfig: { healthyPanicThreshold: {} } };
  const fail = ({ cluster }: ReturnType<typeof start>, times: number, status = 500) => { for (let i = 0; i < times; i++) cluster.report(cluster.hosts[0]!, { kind: 'status', httpStatus: status }); };

  it('ejects at the threshold, lets back in on the interval after base time', () => {
    const s = start([{ port: 1 }, { port: 2 }], strict);
    fail(s, 2);
    s.cluster.report(s.cluster.hosts[0]!, { kind: 'status', httpStatus: 404 });
    fail(s, 2);
    expect(s.cluster.hosts[0]!.healthy).toBe(true);
    fail(s, 1);
    expect(s.cluster.hosts[0]!.healthy).toBe(false);
    expect(s.counts(4)).toEqual({ 2: 4 });
    expect(s.stats.gauges['outlier_detection.ejections_active']).toBe(1);
    expect(s.stats.gauges.membership_healthy).toBe(1);
    s.clock.advance(29_999);
    expect(s.cluster.hosts[0]!.healthy).toBe(false);
    s.clock.advance(1);
    expect(s.cluster.hosts[0]!.healthy).toBe(true);
    expect(s.stats.gauges['outlier_detection.ejections_active']).toBe(0);
    expect(s.stats.counters).toMatchObject({ 'outlier_detection.ejections_enforced_total': 1, 'outlier_detection.ejections_enforced_consecutive_5xx': 1, 'outlier_detection.ejections_detected_consecutive_5xx': 1 });
  });

  it('doubles the second ejection in a row and forgets by clean intervals', () => {
    const s = start([{ port: 1 }, { port: 2 }], strict);
    fail(s, 3);
    s.clock.advance(30_000);
    fail(s, 3);
    s.clock.advance(50_000);
    expect(s.cluster.hosts[0]!.healthy).toBe(false);
    s.clock.advance(10_000);
    expect(s.cluster.hosts[0]!.healthy).toBe(true);
    s.clock.advance(20_000);
    fail(s, 3);
    s.clock.advance(30_000);
    expect(s.cluster.hosts[0]!.healthy).toBe(true);
  });

  it('counts connect failures and timeouts as 503 and 504, resets gateway runs by other 5xx', () => {
    const s = start([{ port: 1 }, { port: 2 }], { outlierDetection: { consecutive5xx: 0, consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100, maxEjectionPercent: 100 } });
    const host = s.cluster.hosts[0]!;
    s.cluster.report(host, { kind: 'connect-failure' });
    s.cluster.report(host, { kind: 'timeout' });
    fail(s, 1, 500);
    s.cluster.report(host, { kind: 'reset' });
    fail(s, 1, 502);
    expect(host.ejected).toBe(false);
    fail(s, 1, 504);
    expect(host.ejected).toBe(true);
    expect(s.stats.counters['outlier_detection.ejections_enforced_consecutive_gateway_failure']).toBe(1);
  });

  it('keeps local errors apart when asked', () => {
    const s = start([{ port: 1 }, { port: 2 }], { outlierDetection: { consecutive5xx: 2, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailure: 2, maxEjectionPercent: 100 } });
    const host = s.cluster.hosts[0]!;
    s.cluster.report(host, { kind: 'connect-failure' });
    s.cluster.report(host, { kind: 'connected' });
    s.cluster.report(host, { kind: 'connect-failure' });
    fail(s, 1);
    expect(host.ejected).toBe(false);
    s.cluster.report(host, { kind: 'timeout' });
    expect(host.ejected).toBe(true);
  });

  it('says why the cap held an ejection back', () => {
    const s = start([{ port: 1 }, { port: 2 }, { port: 3 }], { outlierDetection: { consecutive5xx: 1, maxEjectionPercent: 10 } });
    fail(s, 1);
    expect(s.cluster.hosts[0]!.ejected).toBe(false);
    expect(s.stats.counters['outlier_detection.ejections_overflow']).toBe(1);
    expect(s.cluster.blockedEjection).toMatchObject({ address: '10.0.0.1:1', reason: 'consecutive_5xx', text: '10.0.0.1:1 reached consecutive_5xx but stays in: ejecting 1 of 3 hosts is 33 %, max_ejection_percent is 10 %' });
  });

  it('forgets a member that leaves while ejected', () => {
    const s = start([{ port: 1 }, { port: 2 }], strict);
    fail(s, 3);
    s.cluster.setAssignment(assignment([{ port: 2 }]));
    expect(s.stats.gauges['outlier_detection.ejections_active']).toBe(0);
    s.cluster.setAssignment(assignment([{ port: 1 }, { port: 2 }]));
    expect(s.cluster.hosts[0]!.healthy).toBe(true);
  });
});

describe('breakers', () => {
  it('admit up to the limit and tell by gauge', () => {
    const { cluster } = start([{ port: 1 }], { circuitBreakers: { thresholds: [{ maxConnections: 1, maxPendingRequests: 1, maxRequests: 2, maxRetries: 0, trackRemaining: true }] } });
    const permit = cluster.admit('connection')!;
    expect(cluster.admit('connection')).toBeUndefined();
    expect(cluster.breakerGauges().get('circuit_breakers.default.cx_open')).toBe(1);
    permit.release();
    expect(cluster.admit('connection')).toBeDefined();
    expect(cluster.admit('retry')).toBeUndefined();
    cluster.admit('pending');
    expect(cluster.admit('pending')).toBeUndefined();
    expect(Object.fromEntries(cluster.breakerGauges())).toMatchObject({ 'circuit_breakers.default.remaining_rq': 2, 'circuit_breakers.default.rq_retry_open': 1 });
  });

  it('bound retries by a budget', () => {
    const { cluster } = start([{ port: 1 }], { circuitBreakers: { thresholds: [{ retryBudget: { budgetPercent: { value: 50 }, minRetryConcurrency: 1 } }] } });
    for (let i = 0; i < 6; i++) cluster.admit('request');
    expect([1, 2, 3, 4].map(() => cluster.admit('retry') !== undefined)).toEqual([true, true, true, false]);
  });
});

describe('settings', () => {
  it('choose the transport socket by endpoint metadata', () => {
    const tls = { name: 'envoy.transport_sockets.tls', typedConfig: { '@type': `${T}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`, sni: 'outbound_.80_._.a', commonTlsContext: { alpnProtocols: ['istio'], tlsCertificateSdsSecretConfigs: [{ name: 'default' }], combinedValidationContext: { defaultValidationContext: { matchSubjectAltNames: [{ exact: 'spiffe://x' }] }, validationContextSdsSecretConfig: { name: 'ROOTCA' } } } } };
    const { cluster } = start([{ port: 1, tlsMode: 'istio' }, { port: 2 }], { transportSocketMatches: [{ name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transportSocket: tls }, { name: 'tlsMode-disabled', match: {}, transportSocket: { name: 'envoy.transport_sockets.raw_buffer' } }] });
    expect(cluster.transportFor(cluster.hosts[0]!)).toEqual({ tls: { certificateSecret: 'default', validationSecret: 'ROOTCA', sni: 'outbound_.80_._.a', autoSni: false, autoSan: false, alpn: ['istio'], subjectAltNames: [{ kind: 'exact', value: 'spiffe://x' }], minVersion: 'TLSv1.2', insecure: false } });
    expect(cluster.transportFor(cluster.hosts[1]!)).toEqual({ tls: undefined });
    expect(cluster.hosts.map(({ tlsMode }) => tlsMode)).toEqual(['istio', '']);
  });

  it.each<[string, JsonObject, string]>([
    ['none given', {}, 'http1'],
    ['explicit h2', { explicitHttpConfig: { http2ProtocolOptions: {} } }, 'http2'],
    ['explicit h1', { explicitHttpConfig: { httpProtocolOptions: {} } }, 'http1'],
    ['downstream', { useDownstreamProtocolConfig: { http2ProtocolOptions: {} } }, 'use-downstream'],
  ])('protocol: %s', (_, options, protocol) => {
    const { cluster } = start([], Object.keys(options).length ? { typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': `${T}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`, ...options, commonHttpProtocolOptions: { idleTimeout: '7s', maxRequestsPerConnection: 9 } } } } : {});
    expect(cluster.protocol).toBe(protocol);
    expect([cluster.idleTimeoutMs, cluster.maxRequestsPerConnection]).toEqual(Object.keys(options).length ? [7000, 9] : [3_600_000, 0]);
  });

  it('make hosts of original destinations and drop them when unused', () => {
    const { cluster, clock, context } = start([], { type: 'ORIGINAL_DST', lbPolicy: 'CLUSTER_PROVIDED' });
    const host = cluster.pick(context({ originalDestination: '10.9.9.9:443' }))!;
    expect([host.ip, host.port, cluster.pick(context({ originalDestination: '10.9.9.9:443' }))]).toEqual(['10.9.9.9', 443, host]);
    expect(cluster.pick(context({ originalDestination: '[fd00::1]:80' }))?.address).toBe('[fd00::1]:80');
    expect(cluster.pick(context())).toBeUndefined();
    host.activeConnections = 1;
    clock.advance(15_000);
    expect(cluster.hosts).toEqual([host]);
    host.activeConnections = 0;
    clock.advance(10_000);
    expect([cluster.hosts, host.removed]).toEqual([[], true]);
  });

  it('do not care for hostile metadata names', () => {
    const { cluster } = start([{ port: 1, tlsMode: 'istio' }], { transportSocketMatches: [{ match: { toString: 'x' }, transportSocket: { name: 'envoy.transport_sockets.raw_buffer' } }] });
    expect(cluster.transportFor(cluster.hosts[0]!)).toEqual({ tls: undefined });
  });
});
