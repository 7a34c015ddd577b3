/** The weighted draw over a route's clusters. */
import type { RequestHead } from '../http/message.ts';
import type { ClusterChoice, RouteAction } from './route-table.ts';

type Forward = Extract<RouteAction, { kind: 'forward' }>;

/**
 * Draws one destination; `random` in [0, 1). Done once per request, before retries. An absent `cluster_header` gives the name '' (no such cluster).
 * @see envoy.config.route.v3.WeightedCluster
 */
export function chooseCluster(action: Forward, head: RequestHead, random: number): ClusterChoice {
  if (action.clusterHeader !== undefined) {
    return { cluster: head.headers.get(action.clusterHeader) ?? '', weight: 1, request: undefined, response: undefined, hostRewrite: undefined, typedPerFilterConfig: NO_CONFIG };
  }
  const { clusters } = action;
  if (clusters.length === 1) return clusters[0]!;
  let rest = Math.floor(random * action.totalWeight);
  for (const choice of clusters) {
    rest -= choice.weight;
    if (rest < 0) return choice;
  }
  return clusters[clusters.length - 1]!;
}

const NO_CONFIG: ReadonlyMap<string, unknown> = new Map();
