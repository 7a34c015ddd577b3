/** VirtualService destinations: hosts, ports and subsets that do not exist, and ports that must be named. */
import type { Issue } from '../../base/issue.ts';
import type { DestinationRule } from '../../objects/istio/destination-rule.ts';
import type { VirtualService } from '../../objects/istio/virtual-service.ts';
import { hostMatches, type ObjectSet } from '../object-set.ts';
import { fullName, message } from '../message.ts';

interface FoundDestination {
  readonly path: string;
  readonly host: string;
  readonly subset: string | undefined;
  readonly port: number | undefined;
}

export function analyzeDestinationHosts(set: ObjectSet): readonly Issue[] {
  const issues: Issue[] = [];
  for (const service of set.of<VirtualService>('VirtualService')) {
    const namespace = service.metadata.namespace ?? 'default';
    issues.push(...ineffectiveSubsets(set, service));
    for (const { path, host, port } of destinationsOf(service)) {
      const target = viewersOf(service, namespace).map((viewer) => set.findHost(host, namespace, viewer)).find((found) => found !== undefined);
      if (!target) issues.push(message('IST0101', service, `${path}.host`, [isMirror(path) ? 'mirror host' : 'host', host], 'name a Service or ServiceEntry host that this namespace sees'));
      else if (port !== undefined && !target.ports.includes(port))
        issues.push(message('IST0101', service, `${path}.port.number`, ['host:port', `${host}:${port}`], target.ports.length > 0 ? `one of ${target.ports.join(', ')}` : `add the port to ${host}`));
      else if (port === undefined && target.ports.length > 1)
        issues.push(message('IST0112', service, `${path}.port.number`, [host, target.ports.map(String)], `add port: {number: ${target.ports[0]}}`));
    }
  }
  return issues;
}

/** A rule for gateways that leaves the subset to another rule for the same host: gateways do not follow from rule to rule. */
function ineffectiveSubsets(set: ObjectSet, service: VirtualService): readonly Issue[] {
  if (!service.spec.gateways?.length) return [];
  const isHttp = ({ path }: FoundDestination) => /^spec\.http\[\d+\]\.route/.test(path);
  const plain = destinationsOf(service).filter((one) => isHttp(one) && !one.subset);
  return set.of<VirtualService>('VirtualService').flatMap((other) => destinationsOf(other).filter((one) => isHttp(one) && one.subset && other.spec.hosts?.includes(one.host)).flatMap((theirs) =>
    plain.filter(({ host }) => host === theirs.host).map(({ path, host }) => message('IST0140', service, `${path}.subset`, [fullName(other), fullName(service)], `name the subset of ${host} here too`))));
}

export function analyzeDestinationSubsets(set: ObjectSet): readonly Issue[] {
  const issues: Issue[] = [];
  const rules = set.of<DestinationRule>('DestinationRule').map((rule) => ({
    host: set.qualify(rule.spec.host ?? '', rule.metadata.namespace ?? 'default'),
    subsets: new Set((rule.spec.subsets ?? []).map(({ name }) => name)),
  }));
  for (const service of set.of<VirtualService>('VirtualService')) {
    const namespace = service.metadata.namespace ?? 'default';
    for (const { path, host, subset } of destinationsOf(service)) {
      if (subset === undefined) continue;
      const full = set.qualify(host, namespace);
      const known = rules.filter((rule) => hostMatches(rule.host, full));
      if (known.some((rule) => rule.subsets.has(subset))) continue;
      const names = known.flatMap((rule) => [...rule.subsets]);
      issues.push(message('IST0101', service, `${path}.subset`, [`${isMirror(path) ? 'mirror' : 'host'}+subset in destinationrule`, `${host}+${subset}`],
        names.length > 0 ? `one of ${names.join(', ')}` : `apply a DestinationRule for ${host} that defines subset ${subset}`));
    }
  }
  return issues;
}

/** Namespaces from which a destination may be seen: those the rule is exported to, else its own; one is enough. */
function viewersOf(service: VirtualService, namespace: string): readonly string[] {
  const { exportTo = [] } = service.spec;
  return exportTo.length === 0 ? [namespace] : exportTo.map((target) => (target === '.' ? namespace : target));
}

function isMirror(path: string): boolean {
  return /\.mirrors?\b/.test(path);
}

function destinationsOf(service: VirtualService): readonly FoundDestination[] {
  const found: FoundDestination[] = [];
  const add = (path: string, destination: { readonly host?: string; readonly subset?: string; readonly port?: { readonly number?: number } } | undefined) => {
    if (destination?.host) found.push({ path, host: destination.host, subset: destination.subset, port: destination.port?.number });
  };
  for (const [index, route] of (service.spec.http ?? []).entries()) {
    for (const [position, entry] of (route.route ?? []).entries()) add(`spec.http[${index}].route[${position}].destination`, entry.destination);
    add(`spec.http[${index}].mirror`, route.mirror);
    for (const [position, mirror] of (route.mirrors ?? []).entries()) add(`spec.http[${index}].mirrors[${position}].destination`, mirror.destination);
  }
  for (const kind of ['tls', 'tcp'] as const)
    for (const [index, route] of (service.spec[kind] ?? []).entries())
      for (const [position, entry] of (route.route ?? []).entries()) add(`spec.${kind}[${index}].route[${position}].destination`, entry.destination);
  return found;
}
