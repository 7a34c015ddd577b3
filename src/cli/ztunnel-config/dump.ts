/** A ztunnel's config_dump: workloads, services, policies, certificates and connections, in istioctl's shape. */
import { items, json, strings, textOf, type Json } from '../proxy-config/dump.ts';

export interface ZtunnelDump {
  readonly workloads: readonly Json[];
  readonly services: readonly Json[];
  readonly policies: readonly Json[];
  readonly certificates: readonly Json[];
  /** Workloads on the node with their connections. */
  readonly states: readonly Json[];
  readonly raw: Json;
}

/** Parses the text of ztunnel's `/config_dump`; throws an Error that says what is not right with it. */
export function parseZtunnelDump(text: string): ZtunnelDump {
  const parsed: unknown = JSON.parse(text);
  const raw = json(parsed);
  if (!['workloads', 'services', 'policies', 'certificates', 'workloadState'].some((key) => key in raw)) throw new Error('this is no config dump of a ztunnel: it has neither workloads nor services');
  const by = (list: readonly Json[], ...keys: readonly string[]) => list.toSorted((a, b) => compare(keys.map((key) => textOf(a[key])), keys.map((key) => textOf(b[key]))));
  return {
    workloads: by(listOf(raw['workloads']), 'namespace', 'name', 'node'),
    services: by(listOf(raw['services']), 'namespace', 'name', 'hostname'),
    policies: by(listOf(raw['policies']), 'namespace', 'name'),
    certificates: listOf(raw['certificates']),
    states: listOf(raw['workloadState']).toSorted((a, b) => compare(ownerOf(a), ownerOf(b))),
    raw,
  };
}

/** Older ztunnels write maps, newer ones lists. */
function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? items(value) : items(Object.values(json(value)));
}

function ownerOf(state: Json): readonly string[] {
  const info = json(state['info']);
  return [textOf(info['namespace']), textOf(info['name'])];
}

function compare(a: readonly string[], b: readonly string[]): number {
  const at = a.findIndex((part, index) => part !== b[index]);
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1;
}

/** Connections as istioctl's JSON has them: every field there, absent ones empty. */
export function stateData(state: Json): Json {
  const info = json(state['info']);
  const connections = json(state['connections']);
  const connection = (one: Json) => ({ src: textOf(one['src']), originalDst: textOf(one['originalDst']), actualDst: textOf(one['actualDst']), protocol: textOf(one['protocol']) });
  return {
    ...(state['state'] === undefined ? {} : { state: state['state'] }),
    connections: { inbound: items(connections['inbound']).map(connection), outbound: items(connections['outbound']).map(connection) },
    info: { name: textOf(info['name']), namespace: textOf(info['namespace']), trustDomain: textOf(info['trustDomain']), serviceAccount: textOf(info['serviceAccount']) },
  };
}

/** A workload as istioctl's JSON has it. */
export function workloadData(workload: Json): Json {
  const texts = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, textOf(workload[name])]));
  const given = (...names: readonly string[]) => Object.fromEntries(names.filter((name) => workload[name] !== undefined && workload[name] !== '').map((name) => [name, workload[name]]));
  const gateway = (name: string) => (workload[name] ? { [name]: { destination: textOf(json(workload[name])['destination']) } } : {});
  return {
    ...texts('uid'), workloadIps: strings(workload['workloadIps']), ...gateway('waypoint'), ...gateway('networkGateway'),
    ...texts('protocol', 'name', 'namespace', 'serviceAccount', 'workloadName', 'workloadType', 'canonicalName', 'canonicalRevision', 'clusterId'), ...given('trustDomain'),
    locality: json(workload['locality']), ...texts('node'), ...given('network'), ...texts('status', 'hostname'),
    applicationTunnel: { protocol: textOf(json(workload['applicationTunnel'])['protocol']), ...(json(workload['applicationTunnel'])['port'] === undefined ? {} : { port: json(workload['applicationTunnel'])['port'] }) },
    ...given('authorizationPolicies'),
  };
}
