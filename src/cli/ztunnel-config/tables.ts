/** `ztunnel-config`: the tables of a ztunnel's dump. */
import { at, items, json, strings, textOf, type Json } from '../proxy-config/dump.ts';
import { formatTable, type Row } from '../table.ts';
import type { ZtunnelDump } from './dump.ts';

/** Spaces between columns, except for certificates. */
const PADDING = 1;

export interface ZtunnelFilter {
  readonly namespace?: string;
  /** Name of the workload, for connections. */
  readonly workload?: string;
  readonly address?: string;
  readonly node?: string;
  readonly direction?: string;
  /** Addresses instead of names. */
  readonly raw?: boolean;
}

const same = (wanted: string | undefined, value: unknown) => wanted === undefined || wanted === '' || textOf(value).toLowerCase() === wanted.toLowerCase();

export function filterWorkloads(dump: ZtunnelDump, filter: ZtunnelFilter): readonly Json[] {
  return dump.workloads.filter((one) => same(filter.namespace, one['namespace']) && same(filter.node, one['node']) && (!filter.address || strings(one['workloadIps']).some((ip) => same(filter.address, ip))));
}

/** `brief` leaves out how the workload is reached. */
export function workloadTable(dump: ZtunnelDump, filter: ZtunnelFilter, brief = false): string {
  const rows = filterWorkloads(dump, filter).map((one) => [textOf(one['namespace']), textOf(one['name']), strings(one['workloadIps']).join(',') || textOf(one['hostname']), textOf(one['node']), ...(brief ? [] : [waypointOf(one, dump), textOf(one['protocol'])])]);
  return formatTable(['NAMESPACE', 'POD NAME', 'ADDRESS', 'NODE', ...(brief ? [] : ['WAYPOINT', 'PROTOCOL'])], rows, PADDING);
}

export function filterServices(dump: ZtunnelDump, { namespace }: ZtunnelFilter): readonly Json[] {
  return dump.services.filter((one) => same(namespace, one['namespace']));
}

export function serviceTable(dump: ZtunnelDump, filter: ZtunnelFilter): string {
  const health = new Map(dump.workloads.map((one) => [textOf(one['uid']), one['status'] === 'Healthy']));
  const rows = filterServices(dump, filter).map((one) => {
    const endpoints = items(Object.values(json(one['endpoints'])));
    const healthy = endpoints.filter((endpoint) => health.get(textOf(endpoint['workloadUid'])) === true);
    return [textOf(one['namespace']), textOf(one['name']), strings(one['vips']).map(afterSlash).join(','), waypointOf(one, dump), `${healthy.length}/${endpoints.length}`];
  });
  return formatTable(['NAMESPACE', 'SERVICE NAME', 'SERVICE VIP', 'WAYPOINT', 'ENDPOINTS'], rows, PADDING);
}

/** Name of the waypoint's service; a waypoint is named by `network/address` or `namespace/hostname`. */
function waypointOf(owner: Json, dump: ZtunnelDump): string {
  if (!owner['waypoint']) return 'None';
  const destination = textOf(at(owner, ['waypoint', 'destination']));
  const service = dump.services.find((one) => strings(one['vips']).includes(destination) || `${textOf(one['namespace'])}/${textOf(one['hostname'])}` === destination);
  return service ? textOf(service['name']) : 'NA';
}

function afterSlash(address: string): string {
  return address.slice(address.indexOf('/') + 1);
}

export function filterPolicies(dump: ZtunnelDump, { namespace }: ZtunnelFilter): readonly Json[] {
  return dump.policies.filter((one) => same(namespace, one['namespace']));
}

export function policyTable(dump: ZtunnelDump, filter: ZtunnelFilter): string {
  return formatTable(['NAMESPACE', 'POLICY NAME', 'ACTION', 'SCOPE'], filterPolicies(dump, filter).map((one) => ['namespace', 'name', 'action', 'scope'].map((key) => textOf(one[key]))), PADDING);
}

export function certificateTable(dump: ZtunnelDump, now: Date): string {
  const rows = dump.certificates.flatMap((one): readonly Row[] => {
    const [identity, state] = [textOf(one['identity']), stateText(one['state'])];
    const [chain, roots] = [items(one['certChain']), items(one['rootCerts'] ?? one['rootCert'])];
    if (chain.length === 0) return [[identity, 'NA', state, 'false', 'NA', 'NA', 'NA']];
    // Without roots of its own, an older ztunnel's chain ends with the root.
    const kind = (index: number) => (index === 0 ? 'Leaf' : index === chain.length - 1 && roots.length === 0 ? 'Root' : 'Intermediate');
    return [...chain.map((certificate, index) => certificateRow(identity, kind(index), state, certificate, now)), ...roots.map((certificate) => certificateRow(identity, 'Root', state, certificate, now))];
  });
  return formatTable(['CERTIFICATE NAME', 'TYPE', 'STATUS', 'VALID CERT', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE'], rows);
}

/** `{"Unavailable": "why"}` and texts that hold it are one state. */
function stateText(state: unknown): string {
  const text = typeof state === 'string' ? state : Object.keys(json(state))[0] ?? '';
  return text.includes('Unavailable') ? 'Unavailable' : text;
}

function certificateRow(identity: string, kind: string, state: string, certificate: Json, now: Date): Row {
  const [from, to, serial] = [textOf(certificate['validFrom']), textOf(certificate['expirationTime']), textOf(certificate['serialNumber'])];
  const valid = new Date(from) < now && now < new Date(to);
  return [identity, kind, state, String(valid), /^\d+$/.test(serial) ? BigInt(serial).toString(16) : serial, to || 'NA', from || 'NA'];
}

export function filterStates(dump: ZtunnelDump, { namespace, workload }: ZtunnelFilter): readonly Json[] {
  return dump.states.filter((one) => same(namespace, at(one, ['info', 'namespace'])) && same(workload, at(one, ['info', 'name'])));
}

export function connectionTable(dump: ZtunnelDump, filter: ZtunnelFilter): string {
  const names = new Map<string, string>([
    ...dump.workloads.map((one) => [strings(one['workloadIps'])[0] || 'None', `${textOf(one['name'])}.${textOf(one['namespace'])}`] as const),
    ...dump.services.map((one) => [afterSlash(strings(one['vips'])[0] ?? '') || 'None', textOf(one['hostname'])] as const),
  ]);
  const named = (value: unknown) => {
    const address = textOf(value);
    const match = /^\[?([^[\]]*)\]?:(\d+)$/.exec(address);
    const name = filter.raw || !match ? undefined : names.get(match[1]!);
    return name === undefined ? address : `${name}:${match![2]}`;
  };
  const rows = filterStates(dump, filter).flatMap((one): readonly Row[] => {
    const owner = `${textOf(at(one, ['info', 'name']))}.${textOf(at(one, ['info', 'namespace']))}`;
    const inbound = items(at(one, ['connections', 'inbound'])).map((connection) => [owner, 'Inbound', named(connection['actualDst']), named(connection['src']), textOf(connection['originalDst']), textOf(connection['protocol'])]);
    const outbound = items(at(one, ['connections', 'outbound'])).map((connection) => [owner, 'Outbound', named(connection['src']), named(connection['actualDst']), named(connection['originalDst']), textOf(connection['protocol'])]);
    return [...(filter.direction === 'outbound' ? [] : inbound), ...(filter.direction === 'inbound' ? [] : outbound)];
  });
  return formatTable(['WORKLOAD', 'DIRECTION', 'LOCAL', 'REMOTE', 'REMOTE TARGET', 'PROTOCOL'], rows, PADDING);
}

/** Everything in tables; `headers` puts a title above each. */
export function fullZtunnelSummary(dump: ZtunnelDump, headers: boolean, now: Date): string {
  const sections: readonly (readonly [string, string])[] = [['WORKLOAD', workloadTable(dump, {})], ['SERVICE', serviceTable(dump, {})], ['POLICY', policyTable(dump, {})], ['SECRET', certificateTable(dump, now)], ['CONNECTIONS', connectionTable(dump, {})]];
  return sections.map(([title, table]) => `\n${headers ? `------ ${title} INFO ------\n\n` : ''}${table}`).join('');
}
