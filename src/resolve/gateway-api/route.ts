/** Routes of all kinds → VirtualServices, their status, and which listeners they are attached to. */
import { covers } from '../../model/hostname.ts';
import type { GrpcRouteRule } from '../../objects/gateway-api/grpc-route.ts';
import type { HttpRouteRule } from '../../objects/gateway-api/http-route.ts';
import type { L4RouteRule } from '../../objects/gateway-api/l4-routes.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { createdMsOf, namespaceOf } from '../context.ts';
import type { RuleContext } from './backend.ts';
import type { ConfigError } from './condition.ts';
import { parentKeyOf, type ParentListener } from './gateway.ts';
import { convertGrpcRule } from './grpc-rule.ts';
import { convertHttpRule } from './http-rule.ts';
import { convertL4Rule } from './l4-rule.ts';
import { acceptedParents, hostnamesOf, isHostIsolated, isMesh, routeParents, type RouteObject, type RouteParent } from './parent.ts';
import { sortHttpRoutes } from './precedence.ts';
import { routeStatus } from './route-status.ts';
import type { Json, RuleResult } from './rule-parts.ts';
import { GATEWAY_API, type World } from './world.ts';

/** A VirtualService made from routes. */
export interface ConvertedRoute {
  readonly object: KubeObject;
  /**
   * Only for the mesh: the namespace of the Service or ServiceEntry. Routes of that namespace hold for everybody, those of others only for their own
   * namespace. @see https://gateway-api.sigs.k8s.io/mesh/service-facets/
   */
  readonly producerNamespace?: string;
}

export interface ConvertedRoutes {
  readonly configs: readonly ConvertedRoute[];
  readonly statuses: readonly { readonly object: KubeObject; readonly status: unknown }[];
  /** {@link parentKeyOf} and section → routes attached there. */
  readonly attached: ReadonlyMap<string, number>;
}

type AnyRule = HttpRouteRule | GrpcRouteRule | L4RouteRule;
interface AnyRoute extends RouteObject {
  readonly spec: RouteObject['spec'] & { readonly rules?: readonly AnyRule[] };
}

const KINDS = ['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'] as const;
type RouteKindName = (typeof KINDS)[number];

/** Rules as one side (mesh or gateways) sees them. */
interface RuleSet {
  readonly routes: readonly Json[];
  readonly error: ConfigError | undefined;
}

/** A VirtualService before HTTP routes of the same host are merged. */
interface Draft extends ConvertedRoute {
  /** Drafts of one key become one VirtualService. */
  readonly key: string | undefined;
}

export function convertRoutes(world: World, listeners: ReadonlyMap<string, readonly ParentListener[]>): ConvertedRoutes {
  const drafts: Draft[] = [];
  const statuses: { object: KubeObject; status: unknown }[] = [];
  const attachments = new Set<string>();
  for (const kind of KINDS)
    for (const route of world.list<AnyRoute>(`${GATEWAY_API}/${kind}`)) {
      const parents = routeParents(world, listeners, route);
      const rules = { mesh: ruleSet(world, route, kind, parents, true), gateway: ruleSet(world, route, kind, parents, false) };
      const errorOf = (parent: RouteParent) => (isMesh(parent) ? rules.mesh.error : rules.gateway.error);
      statuses.push({ object: route, status: routeStatus(route, parents, errorOf, world.features.controllerName) });
      const accepted = acceptedParents(parents);
      for (const { groupKind, namespace, reference, listener } of accepted)
        if (listener) attachments.add(JSON.stringify([attachmentKey(parentKeyOf(groupKind, namespace, reference.name), listener.sectionName), kind, namespaceOf(route), route.metadata.name]));
      drafts.push(...(kind === 'HTTPRoute' || kind === 'GRPCRoute' ? httpDrafts(world, route, accepted, rules) : l4Drafts(world, route, kind, accepted, rules)));
    }
  const attached = new Map<string, number>();
  for (const entry of attachments) {
    const [key] = JSON.parse(entry) as [string];
    attached.set(key, (attached.get(key) ?? 0) + 1);
  }
  return { configs: mergeDrafts(drafts), statuses, attached };
}

/** Key of a listener in {@link ConvertedRoutes.attached}. */
export function attachmentKey(parentKey: string, sectionName: string): string {
  return `${parentKey}|${sectionName}`;
}

function ruleSet(world: World, route: AnyRoute, kind: RouteKindName, parents: readonly RouteParent[], mesh: boolean): RuleSet {
  if (!parents.some((parent) => isMesh(parent) === mesh)) return { routes: [], error: undefined };
  const context: RuleContext = { world, kind, namespace: namespaceOf(route), enforceGrants: !mesh };
  const routes: Json[] = [];
  let error: ConfigError | undefined;
  for (const [index, rule] of (route.spec.rules ?? []).entries())
    for (const result of convertRule(context, route, kind, rule, index)) {
      // One rule that cannot be told costs the whole route: half of it would send requests elsewhere.
      if (result.route === undefined) return { routes: [], error: result.error };
      error = result.error ?? error;
      routes.push(result.route);
    }
  return { routes, error };
}

function convertRule(context: RuleContext, route: AnyRoute, kind: RouteKindName, rule: AnyRule, index: number): readonly RuleResult[] {
  const name = `${namespaceOf(route)}.${route.metadata.name}.${index}`;
  switch (kind) {
    case 'HTTPRoute': return convertHttpRule(context, rule as HttpRouteRule, name);
    case 'GRPCRoute': return convertGrpcRule(context, rule as GrpcRouteRule, name);
    case 'TLSRoute': return [convertL4Rule(context, rule as L4RouteRule, hostnamesOf(route))];
    case 'TCPRoute': return [convertL4Rule(context, rule as L4RouteRule, undefined)];
  }
}

interface Sides {
  readonly mesh: RuleSet;
  readonly gateway: RuleSet;
}

/** One VirtualService per gateway and host; for the mesh per namespace, port and host. */
function httpDrafts(world: World, route: AnyRoute, parents: readonly RouteParent[], rules: Sides): readonly Draft[] {
  return parents.flatMap((parent) => {
    const mesh = isMesh(parent);
    const { port } = parent.reference;
    const own = mesh ? rules.mesh.routes : rules.gateway.routes;
    if (own.length === 0) return [];
    const routes = mesh && port !== undefined ? own.map((entry) => withPort(entry, port)) : own;
    const scope = mesh ? `${namespaceOf(route)}${port === undefined ? '' : `/${port}`}` : parent.listener!.internalName;
    const hosts = mesh ? meshHosts(world, parent) : hostnamesOf(route).filter((host) => isHostIsolated(parent, host));
    return hosts.map((host) => draft(route, parent, `${scope}/${host}`.replaceAll('/', '~'), host, { http: routes }, `${scope}/${host}`));
  });
}

function l4Drafts(world: World, route: AnyRoute, kind: 'TLSRoute' | 'TCPRoute', parents: readonly RouteParent[], rules: Sides): readonly Draft[] {
  const field = kind === 'TLSRoute' ? 'tls' : 'tcp';
  let count = 0;
  return parents.flatMap((parent) => {
    const mesh = isMesh(parent);
    const own = mesh ? rules.mesh.routes : rules.gateway.routes;
    // Each TCP listener has one route, so its VirtualService can mean all hosts.
    const hosts = mesh ? meshHosts(world, parent) : kind === 'TLSRoute' ? hostnamesOf(route) : ['*'];
    if (own.length === 0) return [];
    return hosts.map((host) => {
      const routes = mesh ? own.map((entry) => meshL4Route(entry, kind, hosts, host, parent.reference.port)) : own;
      return draft(route, parent, `${route.metadata.name}~${field}~${count++}~istio-autogenerated-k8s-gateway`, host, { [field]: routes }, undefined);
    });
  });
}

/** Mesh callers are told apart by port, and by server name: the route's own, else that of the service. */
function meshL4Route(route: Json, kind: 'TLSRoute' | 'TCPRoute', hosts: readonly string[], host: string, port: number | undefined): Json {
  if (kind === 'TCPRoute') return port === undefined ? route : withPort(route, port);
  const [match] = (route['match'] as readonly { readonly sniHosts: readonly string[] }[] | undefined) ?? [];
  if (!match) return route;
  const own = match.sniHosts.length === 1 && match.sniHosts[0] === '*' ? hosts : match.sniHosts;
  const sniHosts = own.length > 1 ? own.filter((sni) => covers(host, sni) || covers(sni, host)) : own;
  return { ...route, match: [{ ...match, sniHosts, ...(port !== undefined && { port }) }] };
}

function withPort(route: Json, port: number): Json {
  const matches = (route['match'] as readonly Json[] | undefined) ?? [{}];
  return { ...route, match: matches.map((match) => ({ ...match, port })) };
}

function meshHosts(world: World, parent: RouteParent): readonly string[] {
  if (parent.groupKind === '/Service') return [`${parent.reference.name}.${parent.namespace}.svc.${world.domainSuffix}`];
  const entry = world.find<KubeObject & { readonly spec?: { readonly hosts?: unknown } }>(parent.groupKind, parent.namespace, parent.reference.name);
  const hosts = entry?.spec?.hosts;
  return Array.isArray(hosts) ? hosts.filter((host): host is string => typeof host === 'string') : [];
}

function draft(route: AnyRoute, parent: RouteParent, name: string, host: string, routes: Json, key: string | undefined): Draft {
  const { creationTimestamp } = route.metadata;
  const object = {
    apiVersion: 'networking.istio.io/v1', kind: 'VirtualService',
    metadata: {
      name, namespace: namespaceOf(route), ...(creationTimestamp !== undefined && { creationTimestamp }),
      annotations: { 'internal.istio.io/parents': `${route.kind}/${route.metadata.name}.${namespaceOf(route)}`, 'internal.istio.io/route-semantics': 'gateway' },
    },
    spec: { gateways: [parent.listener?.internalName ?? 'mesh'], hosts: [host], ...routes },
  };
  return { object, key, ...(isMesh(parent) && { producerNamespace: parent.namespace }) };
}

/** HTTP routes of one host are ordered across objects: oldest object first, then by how exactly they match. */
function mergeDrafts(drafts: readonly Draft[]): readonly ConvertedRoute[] {
  const result: ConvertedRoute[] = drafts.filter(({ key }) => key === undefined);
  const groups = new Map<string, Draft[]>();
  for (const entry of drafts) if (entry.key !== undefined) groups.set(entry.key, [...(groups.get(entry.key) ?? []), entry]);
  const nameOf = ({ object }: Draft) => object.metadata.annotations?.['internal.istio.io/parents'] ?? '';
  for (const group of groups.values()) {
    const sorted = [...group].sort((a, b) => createdMsOf(a.object) - createdMsOf(b.object) || compare(sourceKey(a), sourceKey(b)));
    const [first] = sorted;
    const { spec, metadata } = first!.object as KubeObject & { readonly spec: Json };
    const http = sortHttpRoutes(sorted.flatMap(({ object }) => (object as KubeObject & { readonly spec: { readonly http: readonly Json[] } }).spec.http));
    const parents = sorted.map(nameOf).join(',');
    const object = { ...first!.object, metadata: { ...metadata, annotations: { ...metadata.annotations, 'internal.istio.io/parents': parents } }, spec: { ...spec, http } };
    result.push({ object, ...(first!.producerNamespace !== undefined && { producerNamespace: first!.producerNamespace }) });
  }
  return result;
}

/** Namespace, then name of the route behind a draft. */
function sourceKey({ object }: Draft): string {
  const parent = object.metadata.annotations?.['internal.istio.io/parents'] ?? '';
  return `${namespaceOf(object)}/${parent.slice(parent.indexOf('/') + 1)}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
