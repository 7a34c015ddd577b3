import type { Visibility } from './visibility.ts';

export interface ConsistentHash {
  readonly key:
    | { readonly kind: 'header'; readonly name: string }
    | { readonly kind: 'cookie'; readonly name: string; readonly path: string; readonly ttlMs: number | undefined }
    | { readonly kind: 'source-ip' }
    | { readonly kind: 'query-parameter'; readonly name: string };
  readonly algorithm: { readonly kind: 'ring-hash'; readonly minimumRingSize: number } | { readonly kind: 'maglev'; readonly tableSize: number };
}

export type SimpleBalancer = 'ROUND_ROBIN' | 'LEAST_REQUEST' | 'RANDOM' | 'PASSTHROUGH';

export interface LocalitySettings {
  readonly enabled: boolean;
  readonly distribute: readonly { readonly from: string; readonly to: readonly (readonly [string, number])[] }[];
  readonly failover: readonly { readonly from: string; readonly to: string }[];
  readonly failoverPriority: readonly string[];
}

export interface LoadBalancerPolicy {
  readonly simple: SimpleBalancer | undefined;
  readonly consistentHash: ConsistentHash | undefined;
  readonly locality: LocalitySettings | undefined;
  readonly warmup: { readonly durationMs: number; readonly minimumPercent: number; readonly aggression: number } | undefined;
}

export interface ConnectionPool {
  readonly maxConnections: number | undefined;
  readonly connectTimeoutMs: number | undefined;
  readonly tcpKeepalive: { readonly probes: number | undefined; readonly timeMs: number | undefined; readonly intervalMs: number | undefined } | undefined;
  readonly maxConnectionDurationMs: number | undefined;
  readonly tcpIdleTimeoutMs: number | undefined;
  readonly maxPendingRequests: number | undefined;
  readonly maxRequests: number | undefined;
  readonly maxRequestsPerConnection: number | undefined;
  readonly maxRetries: number | undefined;
  readonly httpIdleTimeoutMs: number | undefined;
  readonly h2Upgrade: boolean | undefined;
  readonly useClientProtocol: boolean;
  readonly maxConcurrentStreams: number | undefined;
}

export interface OutlierDetection {
  readonly consecutive5xx: number | undefined;
  readonly consecutiveGatewayErrors: number | undefined;
  readonly splitExternalLocalOriginErrors: boolean;
  readonly consecutiveLocalOriginFailures: number | undefined;
  readonly intervalMs: number | undefined;
  readonly baseEjectionTimeMs: number | undefined;
  readonly maxEjectionPercent: number | undefined;
  readonly minHealthPercent: number;
}

/** Retries allowed as a share of the requests that run; replaces `maxRetries`. Default 20 percent, at least 3. */
export interface RetryBudget {
  readonly percent: number;
  readonly minRetryConcurrency: number;
}

/** TCP carried through an HTTP proxy to the destination host. */
export interface Tunnel {
  readonly protocol: 'CONNECT' | 'POST';
  readonly targetHost: string;
  readonly targetPort: number;
}

export interface ClientTls {
  readonly mode: 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL';
  readonly clientCertificate: string;
  readonly privateKey: string;
  readonly caCertificates: string;
  readonly credentialName: string;
  readonly subjectAltNames: readonly string[];
  readonly sni: string;
  readonly insecureSkipVerify: boolean;
  /** File with revoked certificates; '' = none. */
  readonly caCrl: string;
}

/** The four blocks that override each other as wholes, and the extras. */
export interface TrafficPolicy {
  readonly loadBalancer: LoadBalancerPolicy | undefined;
  readonly connectionPool: ConnectionPool | undefined;
  readonly outlierDetection: OutlierDetection | undefined;
  readonly tls: ClientTls | undefined;
  readonly proxyProtocol: 'V1' | 'V2' | undefined;
  readonly tunnel: Tunnel | undefined;
  readonly retryBudget: RetryBudget | undefined;
  readonly portLevel: ReadonlyMap<number, TrafficPolicy>;
}

export interface Subset {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly policy: TrafficPolicy | undefined;
}

export interface DestinationRule {
  readonly kind: 'destination-rule';
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  readonly policy: TrafficPolicy | undefined;
  readonly subsets: readonly Subset[];
  /** Client workloads it holds for; undefined = all. */
  readonly workloadSelector: Readonly<Record<string, string>> | undefined;
  readonly visibility: Visibility;
  readonly createdMs: number;
  readonly origin: string;
  readonly digest: string;
}

/**
 * The policy that holds for one port: a port-level entry replaces all four blocks of its level; a subset's blocks win over the rule's, block by block.
 * @see https://istio.io/latest/docs/reference/config/networking/destination-rule/#TrafficPolicy-PortTrafficPolicy
 */
export function policyForPort(rule: TrafficPolicy | undefined, subset: TrafficPolicy | undefined, port: number): Omit<TrafficPolicy, 'portLevel'> {
  const base = rule?.portLevel.get(port) ?? rule;
  const over = subset?.portLevel.get(port);
  const pick = <K extends 'loadBalancer' | 'connectionPool' | 'outlierDetection' | 'tls'>(key: K): TrafficPolicy[K] =>
    (over ? over[key] : subset?.[key] ?? base?.[key]) as TrafficPolicy[K];
  return {
    loadBalancer: pick('loadBalancer'), connectionPool: pick('connectionPool'), outlierDetection: pick('outlierDetection'), tls: pick('tls'),
    // The extras only override where they are set.
    proxyProtocol: over?.proxyProtocol ?? subset?.proxyProtocol ?? base?.proxyProtocol ?? rule?.proxyProtocol,
    tunnel: over?.tunnel ?? subset?.tunnel ?? base?.tunnel ?? rule?.tunnel,
    retryBudget: over?.retryBudget ?? subset?.retryBudget ?? base?.retryBudget ?? rule?.retryBudget,
  };
}
