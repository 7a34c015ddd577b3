import { create } from '@bufbuild/protobuf';
import { LocalityLbEndpointsSchema, type LocalityLbEndpoints } from '../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.ts';
import type { LocalitySettings } from '../model/destination-rule.ts';
import type { Locality } from '../model/endpoint.ts';

/**
 * Gives localities their priorities (failover, only with outlier detection, as nothing else tells that near endpoints are ill) or their weights
 * (`distribute`). Without a locality of its own a proxy treats all alike.
 * @see features.md §2.2 (localityLbSetting)
 */
export function localityPriorities(own: Locality, groups: readonly LocalityLbEndpoints[], settings: LocalitySettings, outlierDetection: boolean): LocalityLbEndpoints[] {
  if (!settings.enabled || !own.region) return [...groups];
  const rule = settings.distribute.find((entry) => matches(entry.from, own));
  if (rule) return distribute(rule.to, groups);
  if (!outlierDetection) return [...groups];
  const failover = settings.failover.find((entry) => entry.from === own.region)?.to;
  const raw = groups.map((group) => priorityOf(own, group.locality, failover));
  const priorities = compactPriorities(raw);
  return groups.map((group, index) => create(LocalityLbEndpointsSchema, { ...group, priority: priorities[index] ?? 0 }));
}

function priorityOf(own: Locality, other: LocalityLbEndpoints['locality'], failover: string | undefined): number {
  if (other?.region === own.region) return other.zone !== own.zone ? 2 : other.subZone !== own.subZone ? 1 : 0;
  return failover !== undefined && other?.region === failover ? 3 : failover === undefined ? 3 : 4;
}

/** `region/zone/subzone` with `*` parts; missing parts match anything. */
function matches(pattern: string, locality: { readonly region: string; readonly zone: string; readonly subZone: string }): boolean {
  const [region = '', zone, subZone] = pattern.split('/');
  const part = (want: string | undefined, have: string) => want === undefined || want === '*' || want === have;
  return part(region, locality.region) && part(zone, locality.zone) && part(subZone, locality.subZone);
}

function distribute(to: readonly (readonly [string, number])[], groups: readonly LocalityLbEndpoints[]): LocalityLbEndpoints[] {
  return to.flatMap(([pattern, weight]) => {
    const members = groups.filter((group) => matches(pattern, { region: group.locality?.region ?? '', zone: group.locality?.zone ?? '', subZone: group.locality?.subZone ?? '' }));
    const total = members.reduce((sum, group) => sum + group.lbEndpoints.length, 0);
    return members.map((group) => create(LocalityLbEndpointsSchema, { ...group, loadBalancingWeight: Math.max(1, Math.round((weight * group.lbEndpoints.length) / total)) }));
  });
}

/** What failover by labels compares: a workload's labels and the topology it is in, under Kubernetes' names. */
export function topologyLabels(labels: Readonly<Record<string, string>>, locality: Locality, network: string): ReadonlyMap<string, string> {
  const all = new Map(Object.entries(labels));
  const place = { 'topology.kubernetes.io/region': locality.region, 'topology.kubernetes.io/zone': locality.zone, 'topology.istio.io/subzone': locality.subZone, 'topology.istio.io/network': network };
  for (const [key, value] of Object.entries(place)) if (value) all.set(key, value);
  return all;
}

/**
 * How far an endpoint is from us by `failoverPriority`: 0 when all labels are equal, one more for every label after the first that differs. `key=value`
 * compares with that value instead of our own.
 * @see https://istio.io/latest/docs/reference/config/networking/destination-rule/#LocalityLoadBalancerSetting
 */
export function failoverDistance(own: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>, failoverPriority: readonly string[]): number {
  for (const [index, entry] of failoverPriority.entries()) {
    const equals = entry.indexOf('=');
    const key = equals < 0 ? entry : entry.slice(0, equals);
    const wanted = equals < 0 ? own.get(key) : entry.slice(equals + 1);
    if ((other.get(key) ?? '') !== (wanted ?? '')) return failoverPriority.length - index;
  }
  return 0;
}

/** Distances → priorities without gaps, as Envoy asks. */
export function compactPriorities(distances: readonly number[]): readonly number[] {
  const levels = [...new Set(distances)].sort((a, b) => a - b);
  return distances.map((distance) => levels.indexOf(distance));
}

/** Does `distribute` say where this proxy's requests go? Then there is no failover. */
export function isDistributed(own: Locality, settings: LocalitySettings): boolean {
  return own.region !== '' && settings.distribute.some((entry) => matches(entry.from, own));
}
