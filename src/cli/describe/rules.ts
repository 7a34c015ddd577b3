/** `describe`: the lines about DestinationRules and VirtualServices, in istioctl's words. */
import { hasLabels } from '../../analysis/selector.ts';
import type { StringMatch } from '../../objects/istio/common.ts';
import type { DestinationRule } from '../../objects/istio/destination-rule.ts';
import type { HTTPMatchRequest, HTTPRoute, TCPRoute, VirtualService } from '../../objects/istio/virtual-service.ts';
import type { Service } from '../../objects/kubernetes/service.ts';

type Labels = Readonly<Record<string, string>>;

/** Subsets that select one of the pods, and those that do not. */
export interface Subsets {
  readonly matching: readonly string[];
  readonly others: readonly string[];
}

export const NO_SUBSETS: Subsets = { matching: [], others: [] };

/** How names are printed: without the namespace that is described, else `name.namespace`. */
export type Naming = (meta: { readonly name: string; readonly namespace?: string }) => string;

export function namingIn(described: string): Naming {
  return ({ name, namespace = '' }) => (namespace === described ? name : `${name}.${namespace}`);
}

export function subsetsOf(rule: DestinationRule, pods: readonly Labels[]): Subsets {
  const all = rule.spec.subsets ?? [];
  const selects = (labels: Labels | undefined) => pods.some((pod) => hasLabels(pod, labels));
  return { matching: all.filter(({ labels }) => selects(labels)).map(({ name }) => name), others: all.filter(({ labels }) => !selects(labels)).map(({ name }) => name) };
}

export function destinationRuleLines(rule: DestinationRule, pods: readonly Labels[], indent: number, naming: Naming): readonly string[] {
  const [one, two] = [' '.repeat(indent + 3), ' '.repeat(indent + 6)];
  const { matching, others } = subsetsOf(rule, pods);
  const policy = rule.spec.trafficPolicy;
  const lines = [`${' '.repeat(indent)}DestinationRule: ${naming(rule.metadata)} for ${JSON.stringify(rule.spec.host)}`];
  if (matching.length === 0 && others.length > 0) lines.push(`${one}WARNING POD DOES NOT MATCH ANY SUBSETS.  (Non matching subsets ${others.join(',')})`);
  if (matching.length + others.length > 0) lines.push(`${one}Matching subsets: ${matching.join(',')}`);
  if (others.length > 0) lines.push(`${two}(Non-matching subsets ${others.join(',')})`);
  if (!policy) return [...lines, `${one}No Traffic Policy`];
  if (policy.tls) lines.push(`${one}Traffic Policy TLS Mode: ${policy.tls.mode ?? 'DISABLE'}`);
  lines.push(...shortPolicies(policy).map((text) => one + text));
  if (policy.portLevelSettings) lines.push(`${one}Port Level Settings:`);
  for (const settings of policy.portLevelSettings ?? []) {
    lines.push(`    ${settings.port?.number ?? 0}:`);
    if (settings.tls) lines.push(`${two}TLS Mode: ${settings.tls.mode ?? 'DISABLE'}`);
    lines.push(...shortPolicies(settings).map((text) => two + text));
  }
  return lines;
}

function shortPolicies(policy: { readonly loadBalancer?: unknown; readonly connectionPool?: unknown; readonly outlierDetection?: unknown }): readonly string[] {
  const names = [policy.loadBalancer && 'load balancer', policy.connectionPool && 'connection pool', policy.outlierDetection && 'outlier detection'].filter(Boolean);
  return names.length > 0 ? [`Policies: ${names.join('/')}`] : [];
}

interface RouteFacts {
  readonly matches: boolean;
  readonly facts: readonly string[];
}

export function virtualServiceLines(service: VirtualService, target: Service, subsets: Subsets, rule: DestinationRule | undefined, indent: number, naming: Naming): readonly string[] {
  const [one, two] = [' '.repeat(indent + 3), ' '.repeat(indent + 6)];
  const { http = [], tcp = [], tls = [] } = service.spec;
  const routes = [...http.map((route) => httpFacts(service, route, target, subsets, rule, naming)), ...tcp.map((route) => tcpFacts(service, route, target))];
  const matching = routes.filter(({ matches }) => matches);
  const facts = matching.flatMap((route) => route.facts);
  const notes = routes.filter(({ matches }) => !matches).flatMap((route) => route.facts).map((note) => two + note);
  const lines = [`${' '.repeat(indent)}VirtualService: ${naming(service.metadata)}`, ...facts.map((fact) => one + fact)];
  if (matching.length === 0) {
    const checked = ([['HTTP', http.length], ['TCP', tcp.length]] as const).filter(([, count]) => count > 0).map(([kind, count]) => `${one}WARNING: No destinations match pod subsets (checked ${count} ${kind} routes)`);
    return [...lines, ...checked, ...notes];
  }
  const elsewhere = http.length + tls.length + tcp.length - matching.length;
  if (elsewhere > 0) return [...lines, `${one}${elsewhere} additional destination(s) that will not reach this pod`, ...(facts.length === 0 ? notes : [])];
  if (facts.length > 0) return lines;
  return [...lines, ...(http.length > 0 ? [`${one}${http.length} HTTP route(s)`] : []), ...(tcp.length > 0 ? [`${one}${tcp.length} TCP route(s)`] : [])];
}

function httpFacts(service: VirtualService, route: HTTPRoute, target: Service, subsets: Subsets, rule: DestinationRule | undefined, naming: Naming): RouteFacts {
  const facts: string[] = [];
  const mismatches: string[] = [];
  let matches = false;
  for (const { destination, weight = 0 } of route.route ?? []) {
    const { host, subset } = destination;
    if (!isHostOf(host, service, target)) {
      facts.push(subset ? `Route to ${host} with invalid config` : `Route to host "${host}" with weight ${weight}%`);
      continue;
    }
    if (subset && !subsets.matching.includes(subset)) {
      if (subsets.others.includes(subset)) mismatches.push(`Route to non-matching subset ${subset} for (${matchesText(route.match)})`);
      else mismatches.push(rule ? `Warning: Route to UNKNOWN subset ${subset}; check DestinationRule ${naming(rule.metadata)}` : `Warning: Route to subset ${subset} but NO DESTINATION RULE defining subsets!`);
      continue;
    }
    matches = true;
    if (weight > 0) facts.push(`Route to host "${host}"${subset ? ` subset "${subset}"` : ''} with weight ${weight}%`);
  }
  if (!matches) return { matches, facts: [...facts, ...mismatches] };
  const conditions = [...(route.fault ? [`Fault injection ${protoText(route.fault)}`] : []), ...(route.match ?? []).map(matchText)];
  return { matches, facts: conditions.length > 0 ? [...facts, conditions.join(', ')] : facts };
}

function tcpFacts(service: VirtualService, route: TCPRoute, target: Service): RouteFacts {
  const matches = (route.route ?? []).some(({ destination }) => isHostOf(destination.host, service, target));
  return { matches, facts: matches ? (route.match ?? []).map(protoText) : [] };
}

/** A short host is one of the rule's own namespace. */
function isHostOf(host: string, service: VirtualService, target: Service): boolean {
  const full = host.includes('.') ? host : `${host}.${service.metadata.namespace ?? ''}`;
  const suffix = '.svc.cluster.local';
  return (full.endsWith(suffix) || full.startsWith('*') ? full : full + suffix) === `${target.metadata.name}.${target.metadata.namespace ?? ''}${suffix}`;
}

function matchesText(matches: readonly HTTPMatchRequest[] | undefined): string {
  return matches?.length ? matches.map(matchText).join(', ') : 'everything';
}

function matchText(match: HTTPMatchRequest): string {
  const uri = match.uri ? `${stringMatchText(match.uri)}${match.ignoreUriCase ? ' uncased' : ''}` : '';
  const headers = Object.entries(match.headers ?? {}).map(([name, value]) => `${name}=${stringMatchText(value)}`);
  return `Match: ${uri}${headers.length > 0 ? ` when headers are ${headers.join('; ')}` : ''}`.trim();
}

function stringMatchText(match: StringMatch | undefined): string {
  if (match?.exact !== undefined) return match.exact;
  if (match?.prefix !== undefined) return `${match.prefix}*`;
  return match ? protoText(match) : '';
}

/** A message in protobuf's text form on one line, with snake_case names: `delay:{percentage:{value:10} fixed_delay:{seconds:5}}`. */
function protoText(value: object): string {
  return Object.entries(value).flatMap(([key, field]: [string, unknown]) => (Array.isArray(field) ? field : [field]).map((item: unknown) => {
    const name = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (typeof item === 'object' && item !== null) return `${name}:{${protoText(item)}}`;
    const duration = /(delay|timeout|interval|duration)$/i.test(key) && typeof item === 'string' ? /^(\d+(?:\.\d+)?)s$/.exec(item) : null;
    if (duration) return `${name}:{seconds:${Math.trunc(Number(duration[1]))}}`;
    return `${name}:${typeof item === 'string' ? JSON.stringify(item) : String(item)}`;
  })).join(' ');
}
