/** Hosts by priority and locality: which list a request picks from. */
import type { PickContext } from './cluster.ts';
import { createChooser, type BalancerPolicy, type Chooser } from './balancer.ts';
import type { ClusterHost } from './host.ts';

export interface PriorityOptions {
  readonly policy: BalancerPolicy;
  /** Default 1.4. */
  readonly overprovisioning: number;
  /** Percent; below it all hosts of a priority are used, healthy or not. 0 = never. Envoy's default 50. */
  readonly panicPercent: number;
  /** `locality_weighted_lb_config` is given. */
  readonly localityWeighted: boolean;
  readonly random: () => number;
  /** Told when a pick is made in panic. */
  readonly onPanic: () => void;
}

interface Level {
  /** Share of the load in percent; the shares of all levels sum to 100 unless there is nobody to serve. */
  readonly load: number;
  readonly panic: boolean;
  readonly choose: Chooser;
}

/** One generation of lists; thrown away when membership or health changes. */
export class PrioritySet {
  private readonly levels: readonly Level[];

  constructor(hosts: readonly ClusterHost[], private readonly options: PriorityOptions) {
    const groups = byPriority(hosts);
    const { loads, health } = priorityLoads(groups, options.overprovisioning);
    this.levels = groups.map((group, index) => this.level(group, loads[index]!, health));
  }

  /** Undefined = nobody to serve. */
  choose(context: PickContext): ClusterHost | undefined {
    const { levels } = this;
    let level = levels[0];
    if (levels.length > 1) {
      let rest = context.random() * levels.reduce((sum, { load }) => sum + load, 0);
      level = levels.find((one) => (rest -= one.load) < 0) ?? level;
    }
    if (level ? level.panic : this.options.panicPercent > 0) this.options.onPanic();
    return level?.choose(context);
  }

  private level(group: readonly ClusterHost[], load: number, totalHealth: number): Level {
    const healthy = group.filter((host) => host.healthy);
    const panic = totalHealth < 100 && group.length > 0 && (100 * healthy.length) / group.length < this.options.panicPercent;
    // With nobody healthy anywhere the load goes by size, for panic to have somewhere to go.
    return { load: totalHealth === 0 ? group.length : load, panic, choose: this.chooserOf(panic ? group : healthy, group) };
  }

  private chooserOf(candidates: readonly ClusterHost[], all: readonly ClusterHost[]): Chooser {
    const { policy, localityWeighted, random, overprovisioning } = this.options;
    if (!localityWeighted) return createChooser(policy, candidates, random);
    const localities = [...new Set(all.map(({ locality }) => locality))].map((locality) => {
      const usable = candidates.filter((host) => host.locality === locality);
      const members = all.filter((host) => host.locality === locality);
      const weight = members[0]!.spec.localityWeight * Math.min(1, (overprovisioning * usable.length) / members.length);
      return { weight, choose: createChooser(policy, usable, random) };
    });
    const total = localities.reduce((sum, { weight }) => sum + weight, 0);
    if (total === 0) return createChooser(policy, candidates, random);
    return (context) => {
      let rest = context.random() * total;
      return (localities.find(({ weight }) => (rest -= weight) < 0) ?? localities[0]!).choose(context);
    };
  }
}

/** Groups without gaps: index = priority. */
function byPriority(hosts: readonly ClusterHost[]): readonly (readonly ClusterHost[])[] {
  const groups: ClusterHost[][] = [];
  for (const host of hosts) {
    while (groups.length <= host.priority) groups.push([]);
    groups[host.priority]!.push(host);
  }
  return groups;
}

/**
 * Load of each priority in percent: a priority takes what its health covers, the next takes from what is left. All zero when nobody is healthy.
 * `health` is the sum of all, at most 100: below it Envoy looks for panic.
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority
 */
export function priorityLoads(groups: readonly (readonly { readonly healthy: boolean }[])[], overprovisioning: number): { readonly loads: readonly number[]; readonly health: number } {
  const each = groups.map((group) => (group.length === 0 ? 0 : Math.min(100, (overprovisioning * 100 * group.filter(({ healthy }) => healthy).length) / group.length)));
  const health = Math.min(100, each.reduce((sum, one) => sum + one, 0));
  if (health === 0) return { loads: each, health };
  let left = 100;
  const loads = each.map((one) => {
    const load = Math.min(left, (one * 100) / health);
    left -= load;
    return load;
  });
  return { loads, health };
}
