/** The names of the cluster: what cluster DNS answers, as a pure function of Services and EndpointSlices. @see https://github.com/kubernetes/dns/blob/master/docs/specification.md */
import type { EndpointSlice } from '../objects/kubernetes/endpoint-slice.ts';
import type { Service } from '../objects/kubernetes/service.ts';
import { CLUSTER_DOMAIN, POD_CIDR, SERVICE_CIDR } from './settings.ts';

/** One answer. `data` of a PTR or CNAME is a name without its final dot. */
export type ZoneRecord =
  | { readonly name: string; readonly type: 'A'; readonly data: string }
  | { readonly name: string; readonly type: 'CNAME' | 'PTR'; readonly data: string }
  | { readonly name: string; readonly type: 'SRV'; readonly data: { readonly priority: number; readonly weight: number; readonly port: number; readonly target: string } };

/** `outside` names are not ours to answer. */
export type ZoneAnswer = { readonly kind: 'found'; readonly records: readonly ZoneRecord[]; readonly extra?: readonly ZoneRecord[] } | { readonly kind: 'no-such-name' } | { readonly kind: 'outside' };

/** Current objects, looked up by the zone. */
export interface ZoneSource {
  service(namespace: string, name: string): Service | undefined;
  services(): Iterable<Service>;
  hasNamespace(name: string): boolean;
  /** Slices of a service. */
  slices(namespace: string, service: string): readonly EndpointSlice[];
}

const NOTHING: ZoneAnswer = { kind: 'found', records: [] };
const NO_SUCH_NAME: ZoneAnswer = { kind: 'no-such-name' };

/** Answers one question; names are compared without case. A type that a name does not have is an empty answer, not an error. */
export function answerQuestion(source: ZoneSource, name: string, type: string): ZoneAnswer {
  const lower = name.toLowerCase().replace(/\.$/, '');
  if (lower.endsWith('.in-addr.arpa')) return reverse(source, lower, type);
  if (lower !== CLUSTER_DOMAIN && !lower.endsWith(`.${CLUSTER_DOMAIN}`)) return { kind: 'outside' };
  const labels = lower.split('.').slice(0, -2).reverse();
  const [zone, namespace, service, ...rest] = labels;
  if (zone === undefined) return NOTHING;
  if (zone === 'pod') return podAnswer(source, lower, labels.slice(1), type);
  if (zone === 'dns-version') return NOTHING;
  if (zone !== 'svc') return NO_SUCH_NAME;
  if (namespace === undefined) return NOTHING;
  if (service === undefined) return source.hasNamespace(namespace) ? NOTHING : NO_SUCH_NAME;
  const found = source.service(namespace, service);
  if (!found) return NO_SUCH_NAME;
  const base = `${service}.${namespace}.svc.${CLUSTER_DOMAIN}`;
  if (found.spec.type === 'ExternalName') return externalName(found, lower, rest);
  return rest.length === 0 ? serviceAnswer(source, found, base, type) : memberAnswer(source, found, base, lower, rest, type);
}

function externalName(service: Service, name: string, rest: readonly string[]): ZoneAnswer {
  const target = service.spec.externalName?.replace(/\.$/, '');
  if (rest.length > 0 || !target) return NO_SUCH_NAME;
  return { kind: 'found', records: [{ name, type: 'CNAME', data: target }] };
}

interface Member {
  readonly ip: string;
  readonly hostname: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

function isHeadless(service: Service): boolean {
  return !service.spec.clusterIP || service.spec.clusterIP === 'None';
}

function members(source: ZoneSource, service: Service): readonly Member[] {
  const found = new Map<string, Member>();
  for (const slice of source.slices(service.metadata.namespace ?? '', service.metadata.name)) {
    if (slice.addressType !== 'IPv4') continue;
    const ports = (slice.ports ?? []).flatMap((port) => (port.port === undefined ? [] : [{ name: port.name ?? '', protocol: (port.protocol ?? 'TCP').toLowerCase(), port: port.port }]));
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.conditions?.ready === false && !service.spec.publishNotReadyAddresses) continue;
      for (const ip of endpoint.addresses) {
        const old = found.get(ip);
        found.set(ip, { ip, hostname: endpoint.hostname || ip.replaceAll('.', '-'), ports: old ? [...old.ports, ...ports] : ports });
      }
    }
  }
  return [...found.values()];
}

function serviceAnswer(source: ZoneSource, service: Service, name: string, type: string): ZoneAnswer {
  if (type === 'SRV') {
    const all = (service.spec.ports ?? []).filter((port) => port.name);
    return { kind: 'found', records: all.flatMap((port) => srv(source, service, name, name, port.name!, (port.protocol ?? 'TCP').toLowerCase()).records) };
  }
  if (!isHeadless(service)) return type === 'A' || type === 'ANY' ? { kind: 'found', records: [{ name, type: 'A', data: service.spec.clusterIP! }] } : NOTHING;
  const all = members(source, service);
  if (all.length === 0) return NO_SUCH_NAME;
  return type === 'A' || type === 'ANY' ? { kind: 'found', records: all.map(({ ip }) => ({ name, type: 'A', data: ip })) } : NOTHING;
}

/** `_port._proto.service…` and `hostname.service…`. */
function memberAnswer(source: ZoneSource, service: Service, base: string, name: string, rest: readonly string[], type: string): ZoneAnswer {
  const [first, second, ...more] = rest;
  if (first !== undefined && second !== undefined && more.length === 0 && first.startsWith('_') && second.startsWith('_')) {
    const { records, extra } = srv(source, service, base, name, second.slice(1), first.slice(1));
    if (records.length === 0) return NO_SUCH_NAME;
    return type === 'SRV' || type === 'ANY' ? { kind: 'found', records, extra } : NOTHING;
  }
  if (second !== undefined || !isHeadless(service)) return NO_SUCH_NAME;
  const own = members(source, service).filter((member) => member.hostname === first);
  if (own.length === 0) return NO_SUCH_NAME;
  return type === 'A' || type === 'ANY' ? { kind: 'found', records: own.map(({ ip }) => ({ name, type: 'A', data: ip })) } : NOTHING;
}

function srv(source: ZoneSource, service: Service, base: string, name: string, portName: string, protocol: string): { records: readonly ZoneRecord[]; extra: readonly ZoneRecord[] } {
  const record = (port: number, target: string, weight: number): ZoneRecord => ({ name, type: 'SRV', data: { priority: 0, weight, port, target } });
  if (!isHeadless(service)) {
    const port = service.spec.ports?.find((candidate) => candidate.name?.toLowerCase() === portName && (candidate.protocol ?? 'TCP').toLowerCase() === protocol);
    return port ? { records: [record(port.port, base, 100)], extra: [{ name: base, type: 'A', data: service.spec.clusterIP! }] } : { records: [], extra: [] };
  }
  const matching = members(source, service).flatMap((member) => member.ports.filter((port) => port.name.toLowerCase() === portName && port.protocol === protocol).map((port) => ({ member, port: port.port })));
  const weight = Math.max(1, Math.floor(100 / Math.max(1, matching.length)));
  return {
    records: matching.map(({ member, port }) => record(port, `${member.hostname}.${base}`, weight)),
    extra: matching.map(({ member }) => ({ name: `${member.hostname}.${base}`, type: 'A' as const, data: member.ip })),
  };
}

/** `10-244-0-7.default.pod.cluster.local`. */
function podAnswer(source: ZoneSource, name: string, labels: readonly string[], type: string): ZoneAnswer {
  const [namespace, dashed, ...rest] = labels;
  if (namespace === undefined) return NOTHING;
  if (!source.hasNamespace(namespace)) return NO_SUCH_NAME;
  if (dashed === undefined) return NOTHING;
  if (rest.length > 0 || !/^\d{1,3}(-\d{1,3}){3}$/.test(dashed)) return NO_SUCH_NAME;
  return type === 'A' || type === 'ANY' ? { kind: 'found', records: [{ name, type: 'A', data: dashed.replaceAll('-', '.') }] } : NOTHING;
}

function reverse(source: ZoneSource, name: string, type: string): ZoneAnswer {
  const ip = name.slice(0, -'.in-addr.arpa'.length).split('.').reverse().join('.');
  const isOurs = [POD_CIDR, SERVICE_CIDR].some((cidr) => ip.startsWith(`${cidr.split('.').slice(0, 2).join('.')}.`));
  if (!isOurs) return { kind: 'outside' };
  const names: string[] = [];
  for (const service of source.services()) {
    const base = `${service.metadata.name}.${service.metadata.namespace}.svc.${CLUSTER_DOMAIN}`;
    if (service.spec.clusterIP === ip) names.push(base);
    else if (isHeadless(service)) names.push(...members(source, service).filter((member) => member.ip === ip).map((member) => `${member.hostname}.${base}`));
  }
  if (names.length === 0) return NO_SUCH_NAME;
  return type === 'PTR' || type === 'ANY' ? { kind: 'found', records: names.map((data) => ({ name, type: 'PTR', data })) } : NOTHING;
}
