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
    // As one text, as istioctl does: shop-a stands before shop.
    workloads: listOf(raw['workloads']).toSorted((a, b) => compare([`${textOf(a['namespace'])}.${textOf(a['name'])}`, textOf(a['node'])], [`${textOf(b['namespace'])}.${textOf(b['name'])}`, textOf(b['node'])])),
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

const textFields = (message: Json, ...names: readonly string[]): Json => Object.fromEntries(names.map((name) => [name, textOf(message[name])]));
const givenFields = (message: Json, ...names: readonly string[]): Json => Object.fromEntries(names.filter((name) => message[name] !== undefined && message[name] !== null && message[name] !== '').map((name) => [name, message[name]]));

/** Where a gateway is reached; its port is not shown. */
function gatewayField(message: Json, name: string): Json {
  return message[name] ? { [name]: { destination: textOf(json(message[name])['destination']) } } : {};
}

/** A workload as istioctl's JSON has it. */
export function workloadData(workload: Json): Json {
  const tunnel = json(workload['applicationTunnel']);
  return {
    ...textFields(workload, 'uid'), workloadIps: strings(workload['workloadIps']), ...gatewayField(workload, 'waypoint'), ...gatewayField(workload, 'networkGateway'),
    ...textFields(workload, 'protocol', 'name', 'namespace', 'serviceAccount', 'workloadName', 'workloadType', 'canonicalName', 'canonicalRevision', 'clusterId'), ...givenFields(workload, 'trustDomain'),
    locality: json(workload['locality']), ...textFields(workload, 'node'), ...givenFields(workload, 'network'), ...textFields(workload, 'status', 'hostname'),
    applicationTunnel: { ...textFields(tunnel, 'protocol'), ...givenFields(tunnel, 'port') },
    ...givenFields(workload, 'authorizationPolicies'),
  };
}

/** A service as istioctl's JSON has it. */
export function serviceData(service: Json): Json {
  const endpoints = Object.entries(json(service['endpoints'])).map(([key, value]) => {
    const endpoint = json(value);
    return [key, { ...textFields(endpoint, 'workloadUid', 'service'), ...givenFields(endpoint, 'address'), port: json(endpoint['port']) }] as const;
  });
  const names = strings(service['subjectAltNames']);
  return {
    ...textFields(service, 'name', 'namespace', 'hostname'), vips: strings(service['vips']), ports: json(service['ports']), ...givenFields(service, 'loadBalancer'), ...gatewayField(service, 'waypoint'),
    endpoints: Object.fromEntries(endpoints), ...(names.length > 0 && { subjectAltNames: names }), ...textFields(service, 'ipFamilies'),
  };
}

/** A policy as istioctl's JSON has it. */
export function policyData(policy: Json): Json {
  return { ...textFields(policy, 'name', 'namespace', 'scope', 'action'), rules: policy['rules'] ?? [] };
}
