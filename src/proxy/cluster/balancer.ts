/** Load-balancing policies over one list of hosts. A list and its chooser live until membership or health changes. */
import type { PickContext } from './cluster.ts';
import { EdfScheduler } from './edf.ts';
import { buildMaglev, buildRing, type HashLookup } from './hash-ring.ts';
import type { ClusterHost } from './host.ts';
import { xxHash64 } from './xxhash64.ts';

export type BalancerPolicy =
  | { readonly kind: 'round-robin'; readonly slowStart: SlowStart | undefined }
  | { readonly kind: 'least-request'; readonly choices: number; readonly bias: number; readonly slowStart: SlowStart | undefined }
  | { readonly kind: 'random' }
  | { readonly kind: 'ring-hash'; readonly minimumSize: number; readonly maximumSize: number }
  | { readonly kind: 'maglev'; readonly tableSize: number };

/** @see envoy.config.cluster.v3.Cluster.SlowStartConfig */
export interface SlowStart {
  readonly windowMs: number;
  readonly aggression: number;
  /** Fraction 0–1. Default 0.1. */
  readonly minimumWeight: number;
  readonly nowMs: () => number;
}

/** Picks one host of the list; undefined only when the list is empty. */
export type Chooser = (context: PickContext) => ClusterHost | undefined;

/** Makes the chooser of one list. `random` staggers the start of round robin. */
export function createChooser(policy: BalancerPolicy, hosts: readonly ClusterHost[], random: () => number): Chooser {
  if (hosts.length === 0) return () => undefined;
  if (hosts.length === 1) return () => hosts[0];
  switch (policy.kind) {
    case 'random':
      return ({ random: draw }) => hosts[Math.floor(draw() * hosts.length)];
    case 'round-robin':
      return roundRobin(hosts, policy.slowStart, random);
    case 'least-request':
      return leastRequest(hosts, policy.choices, policy.bias, policy.slowStart, random);
    case 'ring-hash':
      return hashed(hosts, () => buildRing(hosts, policy.minimumSize, policy.maximumSize));
    case 'maglev':
      return hashed(hosts, () => buildMaglev(hosts, policy.tableSize));
  }
}

function roundRobin(hosts: readonly ClusterHost[], slowStart: SlowStart | undefined, random: () => number): Chooser {
  if (equalWeights(hosts) && !slowStart) {
    let next = Math.floor(random() * hosts.length);
    return () => hosts[next++ % hosts.length];
  }
  const scheduler = new EdfScheduler(hosts, (host) => effectiveWeight(host, slowStart), random);
  return () => scheduler.pick();
}

/** Equal weights: the least busy of `choices` random hosts. Else EDF with `weight / (active + 1) ^ bias`. @see Envoy's LeastRequestLoadBalancer */
function leastRequest(hosts: readonly ClusterHost[], choices: number, bias: number, slowStart: SlowStart | undefined, random: () => number): Chooser {
  if (!equalWeights(hosts) || slowStart) {
    const scheduler = new EdfScheduler(hosts, (host) => effectiveWeight(host, slowStart) / (host.activeRequests + 1) ** bias, random);
    return () => scheduler.pick();
  }
  return ({ random: draw }) => {
    let best = hosts[Math.floor(draw() * hosts.length)]!;
    for (let i = 1; i < choices; i++) {
      const other = hosts[Math.floor(draw() * hosts.length)]!;
      if (other.activeRequests < best.activeRequests) best = other;
    }
    return best;
  };
}

/** The table is built at the first request: it costs milliseconds, and most clusters of a sidecar are never called. No key = a random host. */
function hashed(hosts: readonly ClusterHost[], build: () => HashLookup<ClusterHost>): Chooser {
  let find: HashLookup<ClusterHost> | undefined;
  return ({ hashKey, random }) => {
    if (hashKey === undefined) return hosts[Math.floor(random() * hosts.length)];
    find ??= build();
    return find(xxHash64(hashKey));
  };
}

function equalWeights(hosts: readonly ClusterHost[]): boolean {
  return hosts.every(({ weight }) => weight === hosts[0]!.weight);
}

function effectiveWeight(host: ClusterHost, slowStart: SlowStart | undefined): number {
  if (!slowStart) return host.weight;
  const ageMs = slowStart.nowMs() - host.addedMs;
  if (ageMs >= slowStart.windowMs) return host.weight;
  return host.weight * Math.max(slowStart.minimumWeight, (Math.max(1, ageMs) / slowStart.windowMs) ** (1 / slowStart.aggression));
}
