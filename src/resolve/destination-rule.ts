import type { ClientTls, ConnectionPool, ConsistentHash, DestinationRule, LoadBalancerPolicy, LocalitySettings, OutlierDetection, RetryBudget, SimpleBalancer, TrafficPolicy, Tunnel } from '../model/destination-rule.ts';
import { contentHash } from '../model/hash.ts';
import { visibilityOf } from '../model/visibility.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, expandHost, namespaceOf, originOf, readSpec, warn, type ResolveContext } from './context.ts';
import type { Cursor } from './cursor.ts';

/** Reads a DestinationRule; undefined (and issues) when it must be left out. */
export function resolveDestinationRule(context: ResolveContext, object: KubeObject): DestinationRule | undefined {
  const namespace = namespaceOf(object);
  return readSpec(context, object, (spec) => {
    const host = spec.at('host').string();
    if (!host) spec.at('host').fail('is required');
    const seen = new Set<string>();
    const subsets = spec.at('subsets').items().flatMap((subset) => {
      const name = subset.at('name').string();
      if (!name) subset.at('name').fail('is required');
      if (seen.has(name)) {
        warn(context, object, 'MLT0002', subset.path, `Subset "${name}" is declared twice; the first one counts.`);
        return [];
      }
      seen.add(name);
      return [{ name, labels: subset.at('labels').stringMap(), policy: readTrafficPolicy(subset.at('trafficPolicy')) }];
    });
    const selector = spec.at('workloadSelector').at('matchLabels');
    const body = {
      kind: 'destination-rule' as const,
      name: object.metadata.name, namespace, host: expandHost(context, host, namespace),
      policy: readTrafficPolicy(spec.at('trafficPolicy')), subsets,
      workloadSelector: selector.exists ? selector.stringMap() : undefined,
      visibility: visibilityOf(spec.at('exportTo').strings(), namespace, context.mesh.destinationRuleExportTo),
      createdMs: createdMsOf(object), origin: originOf(object),
    };
    return { ...body, digest: contentHash([body.origin, body.host, body.visibility, spec.value]) };
  });
}

export function readTrafficPolicy(policy: Cursor): TrafficPolicy | undefined {
  if (!policy.exists) return undefined;
  const portLevel = new Map<number, TrafficPolicy>();
  for (const entry of policy.at('portLevelSettings').items()) {
    const port = entry.at('port').at('number').number();
    if (port === undefined) entry.at('port').fail('needs a number');
    else if (!portLevel.has(port)) portLevel.set(port, readBlocks(entry));
  }
  return { ...readBlocks(policy), portLevel };
}

function readBlocks(policy: Cursor): TrafficPolicy {
  return {
    loadBalancer: readLoadBalancer(policy.at('loadBalancer')),
    connectionPool: readConnectionPool(policy.at('connectionPool')),
    outlierDetection: readOutlierDetection(policy.at('outlierDetection')),
    tls: readClientTls(policy.at('tls')),
    tunnel: readTunnel(policy.at('tunnel')),
    retryBudget: readRetryBudget(policy.at('retryBudget')),
    proxyProtocol: policy.at('proxyProtocol').exists ? policy.at('proxyProtocol').at('version').oneOf(['V1', 'V2']) ?? 'V1' : undefined,
    portLevel: new Map(),
  };
}

function readTunnel(tunnel: Cursor): Tunnel | undefined {
  if (!tunnel.exists) return undefined;
  const protocol = tunnel.at('protocol').string('CONNECT').toUpperCase();
  const targetHost = tunnel.at('targetHost').string();
  const targetPort = tunnel.at('targetPort').number() ?? 0;
  if (protocol !== 'CONNECT' && protocol !== 'POST') tunnel.at('protocol').fail(`"${protocol}" is unknown; use CONNECT or POST`);
  if (!targetHost) tunnel.at('targetHost').fail('is required');
  if (targetPort < 1 || targetPort > 65535) tunnel.at('targetPort').fail('must be between 1 and 65535');
  return { protocol: protocol === 'POST' ? 'POST' : 'CONNECT', targetHost, targetPort };
}

function readRetryBudget(budget: Cursor): RetryBudget | undefined {
  if (!budget.exists) return undefined;
  const percent = budget.at('percent').number() ?? 20;
  if (percent < 0 || percent > 100) budget.at('percent').fail(`${percent} is not between 0 and 100`);
  return { percent, minRetryConcurrency: budget.at('minRetryConcurrency').number() ?? 3 };
}

const SIMPLE: Readonly<Record<string, SimpleBalancer>> = { ROUND_ROBIN: 'ROUND_ROBIN', LEAST_CONN: 'LEAST_REQUEST', LEAST_REQUEST: 'LEAST_REQUEST', RANDOM: 'RANDOM', PASSTHROUGH: 'PASSTHROUGH' };

function readLoadBalancer(balancer: Cursor): LoadBalancerPolicy | undefined {
  if (!balancer.exists) return undefined;
  const simple = balancer.at('simple').oneOf(['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST']);
  const warmup = balancer.at('warmup');
  const legacyMs = balancer.at('warmupDurationSecs').durationMs();
  const durationMs = warmup.at('duration').durationMs() ?? legacyMs;
  return {
    simple: simple === undefined ? undefined : SIMPLE[simple],
    consistentHash: readConsistentHash(balancer.at('consistentHash')),
    locality: readLocality(balancer.at('localityLbSetting')),
    warmup: durationMs === undefined ? undefined : { durationMs, minimumPercent: warmup.at('minimumPercent').number() ?? 10, aggression: warmup.at('aggression').number() ?? 1 },
  };
}

function readConsistentHash(hash: Cursor): ConsistentHash | undefined {
  if (!hash.exists) return undefined;
  const cookie = hash.at('httpCookie');
  const header = hash.at('httpHeaderName').text();
  const query = hash.at('httpQueryParameterName').text();
  const key: ConsistentHash['key'] | undefined = header !== undefined ? { kind: 'header', name: header.toLowerCase() }
    : cookie.exists ? { kind: 'cookie', name: cookie.at('name').string(), path: cookie.at('path').string(), ttlMs: cookie.at('ttl').durationMs() }
    : hash.at('useSourceIp').boolean() ? { kind: 'source-ip' }
    : query !== undefined ? { kind: 'query-parameter', name: query } : undefined;
  if (!key) {
    hash.fail('needs httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName');
    return undefined;
  }
  const maglev = hash.at('maglev');
  if (maglev.exists) return { key, algorithm: { kind: 'maglev', tableSize: maglev.at('tableSize').positive() ?? 65537 } };
  return { key, algorithm: { kind: 'ring-hash', minimumRingSize: hash.at('ringHash').at('minimumRingSize').positive() ?? hash.at('minimumRingSize').positive() ?? 1024 } };
}

export function readLocality(locality: Cursor): LocalitySettings | undefined {
  if (!locality.exists) return undefined;
  return {
    enabled: locality.at('enabled').boolean() ?? true,
    distribute: locality.at('distribute').items().map((entry) => ({ from: entry.at('from').string(), to: entry.at('to').entries().map(([to, weight]) => [to, weight.number() ?? 0] as const) })),
    failover: locality.at('failover').items().map((entry) => ({ from: entry.at('from').string(), to: entry.at('to').string() })),
    failoverPriority: locality.at('failoverPriority').strings(),
  };
}

export function readConnectionPool(pool: Cursor): ConnectionPool | undefined {
  if (!pool.exists) return undefined;
  const tcp = pool.at('tcp');
  const http = pool.at('http');
  const keepalive = tcp.at('tcpKeepalive');
  const upgrade = http.at('h2UpgradePolicy').oneOf(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE']);
  return {
    maxConnections: tcp.at('maxConnections').positive(), connectTimeoutMs: tcp.at('connectTimeout').durationMs(),
    tcpKeepalive: keepalive.exists ? { probes: keepalive.at('probes').positive(), timeMs: keepalive.at('time').durationMs(), intervalMs: keepalive.at('interval').durationMs() } : undefined,
    maxConnectionDurationMs: tcp.at('maxConnectionDuration').durationMs(), tcpIdleTimeoutMs: tcp.at('idleTimeout').durationMs(),
    maxPendingRequests: http.at('http1MaxPendingRequests').positive(), maxRequests: http.at('http2MaxRequests').positive(),
    maxRequestsPerConnection: http.at('maxRequestsPerConnection').positive(), maxRetries: http.at('maxRetries').positive(),
    httpIdleTimeoutMs: http.at('idleTimeout').durationMs(),
    h2Upgrade: upgrade === 'UPGRADE' ? true : upgrade === 'DO_NOT_UPGRADE' ? false : undefined,
    useClientProtocol: http.at('useClientProtocol').boolean() ?? false, maxConcurrentStreams: http.at('maxConcurrentStreams').positive(),
  };
}

function readOutlierDetection(outlier: Cursor): OutlierDetection | undefined {
  if (!outlier.exists) return undefined;
  const legacy = outlier.at('consecutiveErrors').number();
  const percent = (name: string) => {
    const value = outlier.at(name).number();
    if (value !== undefined && (value < 0 || value > 100)) outlier.at(name).fail(`${value} is not between 0 and 100`);
    return value;
  };
  return {
    consecutive5xx: outlier.at('consecutive5xxErrors').number(),
    consecutiveGatewayErrors: outlier.at('consecutiveGatewayErrors').number() ?? legacy,
    splitExternalLocalOriginErrors: outlier.at('splitExternalLocalOriginErrors').boolean() ?? false,
    consecutiveLocalOriginFailures: outlier.at('consecutiveLocalOriginFailures').number(),
    intervalMs: outlier.at('interval').durationMs(), baseEjectionTimeMs: outlier.at('baseEjectionTime').durationMs(),
    maxEjectionPercent: percent('maxEjectionPercent'), minHealthPercent: percent('minHealthPercent') ?? 0,
  };
}

/** Undefined when no `tls` is written. */
export function readClientTls(tls: Cursor): ClientTls | undefined {
  if (!tls.exists) return undefined;
  return {
    mode: tls.at('mode').oneOf(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL']) ?? 'DISABLE',
    clientCertificate: tls.at('clientCertificate').string(), privateKey: tls.at('privateKey').string(), caCertificates: tls.at('caCertificates').string(),
    credentialName: tls.at('credentialName').string(), subjectAltNames: tls.at('subjectAltNames').strings(), sni: tls.at('sni').string(),
    insecureSkipVerify: tls.at('insecureSkipVerify').boolean() ?? false, caCrl: tls.at('caCrl').string(),
  };
}
