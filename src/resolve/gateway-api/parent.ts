/** Which parents of a route take it, and why the others do not. */
import { covers, isWildcard, overlaps } from '../../model/hostname.ts';
import type { ParentReference } from '../../objects/gateway-api/common.ts';
import type { KubernetesGateway } from '../../objects/gateway-api/gateway.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf } from '../context.ts';
import type { ConfigError } from './condition.ts';
import { classOf } from './gateway-class.ts';
import { parentKeyOf, type ParentListener } from './gateway.ts';
import { GATEWAY_API, GATEWAY_API_EXPERIMENTAL, type World } from './world.ts';

/** What route conversion needs of a route of any kind. */
export interface RouteObject extends KubeObject {
  readonly spec: { readonly parentRefs?: readonly ParentReference[]; readonly hostnames?: readonly string[] };
}

/** One parent reference and one listener it may mean (or the mesh). */
export interface RouteParent {
  readonly reference: ParentReference;
  readonly groupKind: string;
  readonly namespace: string;
  /** Undefined: the mesh. */
  readonly listener: ParentListener | undefined;
  /** Listeners of the same parent, port and protocol: the more specific host name takes the request. */
  readonly siblings: readonly string[];
  readonly denied: ConfigError | undefined;
}

const SERVICE = '/Service';
const SERVICE_ENTRY = 'networking.istio.io/ServiceEntry';
const KNOWN: ReadonlySet<string> = new Set([SERVICE, SERVICE_ENTRY, `${GATEWAY_API}/Gateway`, `${GATEWAY_API}/ListenerSet`, `${GATEWAY_API_EXPERIMENTAL}/XListenerSet`]);

/** Is the reference to a Service or ServiceEntry, so that the route is for callers inside the mesh? */
export function isMesh(parent: RouteParent): boolean {
  return parent.groupKind === SERVICE || parent.groupKind === SERVICE_ENTRY;
}

/** All parents of a route that are ours, in a stable order. */
export function routeParents(world: World, listeners: ReadonlyMap<string, readonly ParentListener[]>, route: RouteObject): readonly RouteParent[] {
  const local = namespaceOf(route);
  const parents = (route.spec.parentRefs ?? []).flatMap((reference) => parentsOf(world, listeners, route, reference));
  return [...parents].sort((a, b) => compare(referenceKey(a.reference, local), referenceKey(b.reference, local)));
}

function parentsOf(world: World, listeners: ReadonlyMap<string, readonly ParentListener[]>, route: RouteObject, reference: ParentReference): readonly RouteParent[] {
  const groupKind = `${reference.group ?? GATEWAY_API}/${reference.kind ?? 'Gateway'}`;
  if (!KNOWN.has(groupKind)) return [];
  const namespace = reference.namespace ?? namespaceOf(route);
  const base = { reference, groupKind, namespace };
  if (groupKind === SERVICE || groupKind === SERVICE_ENTRY) {
    const object = world.find(groupKind, namespace, reference.name);
    if (object && hasForeignWaypoint(world, object)) return [];
    const word = groupKind === SERVICE ? 'service' : 'service entry';
    const denied = object ? undefined : { reason: 'NoMatchingParent', message: `parent ${word}: "${reference.name}" not found` };
    return [{ ...base, listener: undefined, siblings: [], denied }];
  }
  const all = listeners.get(parentKeyOf(groupKind, namespace, reference.name)) ?? [];
  return all.map((listener) => ({
    ...base, listener,
    siblings: all.filter((other) => other !== listener && other.port === listener.port && other.protocol === listener.protocol && other.hostname !== listener.hostname).map(({ hostname }) => hostname),
    denied: whyDenied(route, reference, listener),
  }));
}

const WAYPOINT = 'istio.io/use-waypoint';

/** The object's waypoint is served by another controller, which then also answers for its routes. */
function hasForeignWaypoint(world: World, object: KubeObject): boolean {
  const namespaceObject = world.find('/Namespace', '', namespaceOf(object));
  const labels = object.metadata.labels?.[WAYPOINT] !== undefined ? object.metadata.labels : namespaceObject?.metadata.labels ?? {};
  const name = labels[WAYPOINT];
  if (!name || name.toLowerCase() === 'none') return false;
  const gateway = world.find<KubernetesGateway>(`${GATEWAY_API}/Gateway`, labels['istio.io/use-waypoint-namespace'] || namespaceOf(object), name);
  return gateway !== undefined && classOf(world, gateway.spec.gatewayClassName) === undefined;
}

function whyDenied(route: RouteObject, reference: ParentReference, listener: ParentListener): ConfigError | undefined {
  if (reference.port !== undefined && reference.port !== listener.port) return { reason: 'NoMatchingParent', message: `port ${reference.port} not found` };
  if (reference.sectionName && reference.sectionName !== listener.sectionName) return { reason: 'NoMatchingParent', message: `sectionName "${reference.sectionName}" not found` };
  const namespace = namespaceOf(route);
  const hosts = listener.hosts.map((entry) => ({ namespace: entry.slice(0, entry.indexOf('/')), host: entry.slice(entry.indexOf('/') + 1) }));
  const pairs = hostnamesOf(route).flatMap((hostname) => hosts.filter(({ host }) => overlaps(host.toLowerCase(), hostname.toLowerCase())));
  if (!pairs.some((entry) => entry.namespace === '*' || entry.namespace === namespace)) {
    if (pairs.length > 0) return { reason: 'NotAllowedByListeners', message: `hostnames matched parent hostname "${listener.hostname}", but namespace "${namespace}" is not allowed by the parent` };
    return { reason: 'NoMatchingListenerHostname', message: `no hostnames matched parent hostname "${listener.hostname}"` };
  }
  if (!listener.kinds.some(({ kind }) => kind === route.kind)) return { reason: 'NotAllowedByListeners', message: `kind ${route.apiVersion}/${route.kind} is not allowed` };
  return undefined;
}

/** Host names of a route; without any it means all. */
export function hostnamesOf(route: RouteObject): readonly string[] {
  const hostnames = route.spec.hostnames ?? [];
  return hostnames.length > 0 ? hostnames : ['*'];
}

/**
 * Each host belongs to the listener that names it most exactly: a route on `*.example.com` does not answer for `foo.example.com` when another listener of
 * the port has that name.
 */
export function isHostIsolated(parent: RouteParent, host: string): boolean {
  const own = parent.listener?.hostname ?? '';
  if (own !== '' && !isWildcard(own)) return true;
  if (own !== '' && !overlaps(host, own)) return false;
  return !parent.siblings.some((sibling) => own.length <= sibling.length && covers(sibling, host));
}

/** Parents that take the route, in the order in which its VirtualServices are numbered. */
export function acceptedParents(parents: readonly RouteParent[]): readonly RouteParent[] {
  const nameOf = (parent: RouteParent) => parent.listener?.internalName ?? 'mesh';
  return parents.filter(({ denied }) => denied === undefined).sort((a, b) => compare(nameOf(a), nameOf(b)));
}

/** One text for equal references. */
export function referenceKey(reference: ParentReference, localNamespace: string): string {
  const { group = GATEWAY_API, kind = 'Gateway', name, sectionName = '', port = 0, namespace = localNamespace } = reference;
  return `${group}/${kind}/${name}/${sectionName}/${port}.${namespace}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
