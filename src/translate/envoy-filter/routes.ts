import { clone } from '@bufbuild/protobuf';
import type { EnvoyPatch } from '../../model/envoy-filter.ts';
import type { ProxyView } from '../../model/view.ts';
import { RouteSchema, VirtualHostSchema, type Route, type VirtualHost } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { RouteConfigurationSchema, type RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.ts';
import { applied, patchesFor, type PatchRun, type Place } from './context.ts';
import { patchList } from './list.ts';
import { mergeInto } from './merge.ts';
import { unfitFilters } from './quarantine.ts';
import { routeProblem } from './valid.ts';
import { valueOf } from './value.ts';

/** Applies the route patches of the view's EnvoyFilters to a table of RDS. */
export function patchRoutes(view: ProxyView, table: RouteConfiguration): RouteConfiguration {
  if (view.envoyFilters.length === 0) return table;
  const place = view.proxy.type === 'router' ? 'GATEWAY' : 'SIDECAR_OUTBOUND';
  return unfitFilters(view, table.name, (run) => {
    const copy = clone(RouteConfigurationSchema, table);
    patchRouteConfiguration(run, copy, place);
    return copy;
  }, routeProblem) ?? table;
}

/** Changes a table in place. */
export function patchRouteConfiguration(run: PatchRun, table: RouteConfiguration, place: Place): void {
  const concerns = (patch: EnvoyPatch): boolean => matchesTable(patch, table.name, place);
  for (const patch of patchesFor(run, 'ROUTE_CONFIGURATION', place).filter(concerns)) {
    const value = patch.operation.startsWith('MERGE') ? valueOf(patch, 'ROUTE_CONFIGURATION') : undefined;
    if (!value) continue;
    mergeInto(RouteConfigurationSchema, table, value, listsOf(patch));
    applied(run, patch);
  }
  const hosts = patchesFor(run, 'VIRTUAL_HOST', place).filter(concerns);
  if (hosts.length > 0)
    table.virtualHosts = patchList(run, table.virtualHosts, {
      patches: hosts,
      value: (patch) => {
        const value = valueOf(patch, 'VIRTUAL_HOST');
        return value && clone(VirtualHostSchema, value);
      },
      names: (patch) => patch.route?.asksVhost === true,
      matches: matchesHost,
      merge: (patch, host) => {
        const value = valueOf(patch, 'VIRTUAL_HOST');
        if (!value) return;
        mergeInto(VirtualHostSchema, host, value, listsOf(patch));
        applied(run, patch);
      },
    });
  const routes = patchesFor(run, 'HTTP_ROUTE', place).filter(concerns);
  if (routes.length > 0) for (const host of table.virtualHosts) patchHttpRoutes(run, host, routes.filter((patch) => matchesHost(patch, host)));
}

function patchHttpRoutes(run: PatchRun, host: VirtualHost, patches: readonly EnvoyPatch[]): void {
  if (patches.length === 0) return;
  host.routes = patchList(run, host.routes, {
    patches,
    value: (patch) => {
      const value = valueOf(patch, 'HTTP_ROUTE');
      return value && clone(RouteSchema, value);
    },
    names: (patch) => patch.route?.asksRoute === true,
    matches: matchesRoute,
    merge: (patch, route) => {
      const value = valueOf(patch, 'HTTP_ROUTE');
      if (!value) return;
      mergeInto(RouteSchema, route, value, listsOf(patch));
      applied(run, patch);
    },
  });
}

function listsOf(patch: EnvoyPatch): 'append' | 'replace' {
  return patch.operation === 'MERGE_AND_REPLACE_LIST' ? 'replace' : 'append';
}

/** What a table's name tells: Istio's names carry the port, and at gateways the port's name and the Gateway. */
function partsOf(name: string, place: Place): { readonly port: number; readonly portName: string; readonly gateway: string } {
  if (place === 'GATEWAY') {
    const [kind, port, portName = '', gateway = '', namespace = ''] = name.split('.');
    if (kind === 'http' || kind === 'https') return { port: Number(port), portName, gateway: gateway && namespace ? `${namespace}/${gateway}` : '' };
    return { port: 0, portName: '', gateway: '' };
  }
  if (name.startsWith('inbound|')) return { port: Number(name.split('|')[1]), portName: '', gateway: '' };
  const port = Number(name.slice(name.lastIndexOf(':') + 1));
  return { port: Number.isInteger(port) ? port : 0, portName: '', gateway: '' };
}

function matchesTable(patch: EnvoyPatch, name: string, place: Place): boolean {
  const match = patch.route;
  if (!match) return true;
  if (match.name !== '' && match.name !== name) return false;
  const parts = partsOf(name, place);
  if (match.portNumber !== 0 && match.portNumber !== parts.port) return false;
  // Port names and gateways mean something only at gateways.
  return place !== 'GATEWAY' || ((match.portName === '' || match.portName === parts.portName) && (match.gateway === '' || match.gateway === parts.gateway));
}

function matchesHost(patch: EnvoyPatch, host: VirtualHost): boolean {
  const match = patch.route;
  if (!match?.asksVhost) return true;
  return (match.vhostName === '' || match.vhostName === host.name) && (match.vhostDomain === '' || host.domains.includes(match.vhostDomain));
}

const ACTIONS: Readonly<Record<string, Route['action']['case']>> = { ROUTE: 'route', REDIRECT: 'redirect', DIRECT_RESPONSE: 'directResponse' };

function matchesRoute(patch: EnvoyPatch, route: Route): boolean {
  const match = patch.route;
  if (!match?.asksRoute) return true;
  return (match.routeName === '' || match.routeName === route.name) && (match.routeAction === 'ANY' || ACTIONS[match.routeAction] === route.action.case);
}
