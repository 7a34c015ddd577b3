/** Waypoints: Gateways of their own class. What is listed of them, and how one is asked for. */
import type { SpecObject } from '../objects/meta.ts';
import { formatTable, type Row } from './table.ts';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

export type KubernetesGateway = SpecObject<{ readonly gatewayClassName?: string }, { readonly conditions?: readonly Condition[] }>;

const CLASS = 'istio-waypoint';
const PROGRAMMED = 'Programmed';
/** What a waypoint may take, `istio.io/waypoint-for`. */
export const TRAFFIC_TYPES = ['all', 'none', 'service', 'workload'];
/** Port of HBONE. */
const HBONE_PORT = 15_008;

/** The waypoints among gateways, by namespace and name. */
export function sortedWaypoints(gateways: readonly KubernetesGateway[]): readonly KubernetesGateway[] {
  const key = ({ metadata }: KubernetesGateway) => `${metadata.namespace ?? ''}/${metadata.name}`;
  return gateways.filter(({ spec }) => spec.gatewayClassName === CLASS).toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

export function waypointTable(waypoints: readonly KubernetesGateway[], withNamespace: boolean): string {
  const header = ['NAME', 'REVISION', 'TRAFFIC TYPE', 'PROGRAMMED'];
  const rows = waypoints.map((waypoint) => {
    const { name, namespace = '', labels } = waypoint.metadata;
    const row = [name, labels?.['istio.io/rev'] || 'default', labels?.['istio.io/waypoint-for'] || 'none', programmed(waypoint)?.status ?? 'False'];
    return withNamespace ? [namespace, ...row] : row;
  });
  return formatTable(withNamespace ? ['NAMESPACE', ...header] : header, rows);
}

export const STATUS_HEADER: Row = ['NAME', 'STATUS', 'TYPE', 'REASON', 'MESSAGE'];

export function statusRow(waypoint: KubernetesGateway): Row {
  const condition = programmed(waypoint) ?? waypoint.status?.conditions?.at(-1);
  return [waypoint.metadata.name, condition?.status ?? '', condition?.type ?? '', condition?.reason ?? '', condition?.message ?? ''];
}

export function isProgrammed(waypoint: KubernetesGateway): boolean {
  return programmed(waypoint)?.status === 'True';
}

function programmed({ status }: KubernetesGateway): Condition | undefined {
  return status?.conditions?.find(({ type }) => type === PROGRAMMED);
}

/** The Gateway of a waypoint. Throws when the name is reserved or the traffic type unknown. */
export function waypointGateway(flags: { readonly name: string; readonly namespace?: string; readonly for?: string; readonly revision?: string }): object {
  if (flags.name === 'none') throw new Error("failed to create gateway: invalid name provided for waypoint, 'none' is a reserved value");
  if (flags.for !== undefined && !TRAFFIC_TYPES.includes(flags.for)) throw new Error(`failed to create gateway: invalid traffic type: ${flags.for}. Valid options are: [${TRAFFIC_TYPES.join(' ')}]`);
  const labels = { ...(flags.revision && { 'istio.io/rev': flags.revision }), ...(flags.for && { 'istio.io/waypoint-for': flags.for }) };
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { ...(Object.keys(labels).length > 0 && { labels }), name: flags.name || 'waypoint', ...(flags.namespace && { namespace: flags.namespace }) },
    spec: { gatewayClassName: CLASS, listeners: [{ name: 'mesh', port: HBONE_PORT, protocol: 'HBONE' }] },
  };
}
