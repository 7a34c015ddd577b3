import { clone, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { EnvoyPatch } from '../../model/envoy-filter.ts';
import type { ProxyView } from '../../model/view.ts';
import type { TransportSocket } from '../../xds/gen/envoy/config/core/v3/base_pb.ts';
import { FilterChainSchema, FilterSchema, ListenerFilterSchema, type Filter, type FilterChain } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { ListenerSchema, type Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { HttpConnectionManagerSchema, HttpFilterSchema, type HttpConnectionManager } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { VIRTUAL_INBOUND, VIRTUAL_OUTBOUND } from '../names.ts';
import { applied, failed, patchesFor, sameName, settle, startRun, type PatchRun, type Place } from './context.ts';
import { patchList } from './list.ts';
import { mergeAny, mergeInto } from './merge.ts';
import { patchRouteConfiguration } from './routes.ts';
import { unfitFilters } from './quarantine.ts';
import { valueOf } from './value.ts';
import { listenerProblem } from './valid.ts';

/** Applies the listener patches of the view's EnvoyFilters, and those of routes that stand inside of listeners. */
export function patchListeners(view: ProxyView, listeners: readonly Listener[]): Listener[] {
  if (view.envoyFilters.length === 0) return [...listeners];
  const patched = listeners.flatMap((listener) => {
    const place = placeOf(view, listener);
    return unfitFilters(view, listener.name, (run) => patchListener(run, clone(ListenerSchema, listener), place), listenerProblem) ?? [];
  });
  return [...patched, ...addedListeners(view, patched)];
}

function placeOf(view: ProxyView, listener: Listener): Place {
  if (view.proxy.type === 'router') return 'GATEWAY';
  return listener.name === VIRTUAL_INBOUND ? 'SIDECAR_INBOUND' : 'SIDECAR_OUTBOUND';
}

/** New listeners are not tied to a direction: a patch for any context adds one. */
function addedListeners(view: ProxyView, present: readonly Listener[]): Listener[] {
  const places: readonly Place[] = view.proxy.type === 'router' ? ['GATEWAY'] : ['SIDECAR_INBOUND', 'SIDECAR_OUTBOUND'];
  const added: Listener[] = [];
  const seen = new Set<EnvoyPatch>();
  for (const place of places) {
    const run = startRun(view, view.envoyFilters, '');
    for (const patch of patchesFor(run, 'LISTENER', place)) {
      const value = patch.operation === 'ADD' && !seen.has(patch) ? valueOf(patch, 'LISTENER') : undefined;
      if (!value) continue;
      seen.add(patch);
      if ([...present, ...added].some((listener) => listener.name === value.name)) failed(run, patch, `there is a listener named "${value.name}" already`);
      else {
        const problem = listenerProblem(value);
        if (problem !== undefined) failed(run, patch, problem);
        else {
          added.push(value);
          applied(run, patch);
        }
      }
    }
    settle(run);
  }
  return added;
}

/** Undefined: a patch removed it. */
function patchListener(run: PatchRun, listener: Listener, place: Place): Listener | undefined {
  for (const patch of patchesFor(run, 'LISTENER', place)) {
    if (!matchesListener(patch, listener)) continue;
    if (patch.operation === 'REMOVE') {
      applied(run, patch);
      return undefined;
    }
    const value = patch.operation.startsWith('MERGE') ? valueOf(patch, 'LISTENER') : undefined;
    if (!value) continue;
    mergeInto(ListenerSchema, listener, value, listsOf(patch));
    applied(run, patch);
  }
  patchListenerFilters(run, listener, place);
  patchChains(run, listener, place);
  return listener;
}

function listsOf(patch: EnvoyPatch): 'append' | 'replace' {
  return patch.operation === 'MERGE_AND_REPLACE_LIST' ? 'replace' : 'append';
}

function matchesListener(patch: EnvoyPatch, listener: Listener): boolean {
  const match = patch.listener;
  if (!match) return true;
  if (match.name !== '' && match.name !== listener.name) return false;
  if (match.portNumber === 0 || isVirtual(listener)) return true;
  const address = listener.address?.address;
  return address?.case === 'socketAddress' && address.value.portSpecifier.case === 'portValue' && address.value.portSpecifier.value === match.portNumber;
}

/** Their chains carry the ports. */
function isVirtual(listener: Listener): boolean {
  return listener.name === VIRTUAL_INBOUND || listener.name === VIRTUAL_OUTBOUND;
}

function patchListenerFilters(run: PatchRun, listener: Listener, place: Place): void {
  const patches = patchesFor(run, 'LISTENER_FILTER', place).filter((patch) => matchesListener(patch, listener));
  if (patches.length === 0) return;
  listener.listenerFilters = patchList(run, listener.listenerFilters, {
    patches,
    value: (patch) => cloneOf(ListenerFilterSchema, valueOf(patch, 'LISTENER_FILTER')),
    names: (patch) => (patch.listener?.listenerFilter ?? '') !== '',
    matches: (patch, filter) => (patch.listener?.listenerFilter ?? '') === '' || patch.listener?.listenerFilter === filter.name,
    merge: (patch, filter) => {
      const value = valueOf(patch, 'LISTENER_FILTER');
      if (value) mergeTyped(run, patch, filter, value, ListenerFilterSchema);
    },
  });
}

function patchChains(run: PatchRun, listener: Listener, place: Place): void {
  const patches = patchesFor(run, 'FILTER_CHAIN', place).filter((patch) => matchesListener(patch, listener));
  const inner = (chain: FilterChain): void => patchNetworkFilters(run, listener, chain, place);
  listener.filterChains = listener.filterChains.filter((chain) => patchChain(run, listener, chain, patches));
  const fallback = listener.defaultFilterChain;
  if (fallback && !patchChain(run, listener, fallback, patches)) delete listener.defaultFilterChain;
  for (const patch of patches) {
    const value = patch.operation === 'ADD' ? valueOf(patch, 'FILTER_CHAIN') : undefined;
    if (!value) continue;
    listener.filterChains.push(clone(FilterChainSchema, value));
    applied(run, patch);
  }
  for (const chain of listener.filterChains) inner(chain);
  if (listener.defaultFilterChain) inner(listener.defaultFilterChain);
}

/** False: removed. */
function patchChain(run: PatchRun, listener: Listener, chain: FilterChain, patches: readonly EnvoyPatch[]): boolean {
  for (const patch of patches) {
    if (!matchesChain(patch, listener, chain)) continue;
    if (patch.operation === 'REMOVE') {
      applied(run, patch);
      return false;
    }
    const value = patch.operation.startsWith('MERGE') ? valueOf(patch, 'FILTER_CHAIN') : undefined;
    if (!value) continue;
    const { transportSocket, ...rest } = clone(FilterChainSchema, value);
    const problem = transportSocket && mergeSocket(chain, transportSocket, patch);
    if (problem) {
      failed(run, patch, problem);
      continue;
    }
    mergeInto(FilterChainSchema, chain, rest, listsOf(patch));
    applied(run, patch);
  }
  return true;
}

/** A socket of the same name is merged by its config, another one replaces. */
export function mergeSocket(holder: { transportSocket?: TransportSocket | undefined }, patch: TransportSocket, by: EnvoyPatch): string | undefined {
  const mine = holder.transportSocket;
  if (mine?.name !== patch.name || mine.configType.case !== 'typedConfig' || patch.configType.case !== 'typedConfig') {
    holder.transportSocket = patch;
    return undefined;
  }
  const merged = mergeAny(mine.configType.value, patch.configType.value, listsOf(by));
  if (typeof merged === 'string') return merged;
  mine.configType = { case: 'typedConfig', value: merged };
  return undefined;
}

function matchesChain(patch: EnvoyPatch, listener: Listener, chain: FilterChain): boolean {
  const match = patch.listener;
  if (!match) return true;
  const own = chain.filterChainMatch;
  if (match.portNumber !== 0 && isVirtual(listener) && own?.destinationPort !== match.portNumber) return false;
  const wanted = match.chain;
  if (!wanted) return true;
  if (wanted.name !== '' && wanted.name !== chain.name) return false;
  if (wanted.sni !== '' && !(own?.serverNames ?? []).includes(wanted.sni)) return false;
  if (wanted.transportProtocol !== '' && own?.transportProtocol !== wanted.transportProtocol) return false;
  if (!wanted.applicationProtocols.every((name) => (own?.applicationProtocols ?? []).includes(name))) return false;
  return wanted.destinationPort === 0 || own?.destinationPort === wanted.destinationPort;
}

const HCM = 'envoy.filters.network.http_connection_manager';

function patchNetworkFilters(run: PatchRun, listener: Listener, chain: FilterChain, place: Place): void {
  const concerns = (patch: EnvoyPatch): boolean => matchesListener(patch, listener) && matchesChain(patch, listener, chain);
  const patches = patchesFor(run, 'NETWORK_FILTER', place).filter(concerns);
  const httpPatches = patchesFor(run, 'HTTP_FILTER', place).filter(concerns);
  if (patches.length > 0)
    chain.filters = patchList(run, chain.filters, {
      patches,
      value: (patch) => cloneOf(FilterSchema, valueOf(patch, 'NETWORK_FILTER')),
      names: (patch) => (patch.listener?.filter ?? '') !== '',
      matches: (patch, filter) => (patch.listener?.filter ?? '') === '' || sameName(patch.listener?.filter ?? '', filter.name),
      merge: (patch, filter) => {
        const value = valueOf(patch, 'NETWORK_FILTER');
        if (value) mergeTyped(run, patch, filter, value, FilterSchema);
      },
    });
  const routes = run.filters.some((filter) => filter.patches.some(({ applyTo }) => applyTo === 'ROUTE_CONFIGURATION' || applyTo === 'VIRTUAL_HOST' || applyTo === 'HTTP_ROUTE'));
  for (const filter of chain.filters) if (filter.name === HCM && (httpPatches.length > 0 || routes)) patchManager(run, filter, httpPatches, place);
}

function patchManager(run: PatchRun, filter: Filter, patches: readonly EnvoyPatch[], place: Place): void {
  if (filter.configType.case !== 'typedConfig' || !filter.configType.value.typeUrl.endsWith('.HttpConnectionManager')) return;
  const before = run.outcomes.length;
  const manager = fromBinary(HttpConnectionManagerSchema, filter.configType.value.value);
  const mine = patches.filter((patch) => (patch.listener?.filter ?? '') === '' || sameName(patch.listener?.filter ?? '', filter.name));
  if (mine.length > 0) patchHttpFilters(run, manager, mine);
  const inline = manager.routeSpecifier;
  if (inline.case === 'routeConfig') patchRouteConfiguration(run, inline.value, place);
  if (run.outcomes.length > before) filter.configType.value = { ...filter.configType.value, value: toBinary(HttpConnectionManagerSchema, manager) };
}

function patchHttpFilters(run: PatchRun, manager: HttpConnectionManager, patches: readonly EnvoyPatch[]): void {
  manager.httpFilters = patchList(run, manager.httpFilters, {
    patches,
    value: (patch) => cloneOf(HttpFilterSchema, valueOf(patch, 'HTTP_FILTER')),
    names: (patch) => (patch.listener?.subFilter ?? '') !== '',
    matches: (patch, item) => (patch.listener?.subFilter ?? '') === '' || sameName(patch.listener?.subFilter ?? '', item.name),
    // Nothing can stand behind the router.
    addAt: (list) => {
      const last = list.at(-1)?.configType;
      return last?.case === 'typedConfig' && last.value.typeUrl.endsWith('.Router') ? list.length - 1 : list.length;
    },
    merge: (patch, item) => {
      const value = valueOf(patch, 'HTTP_FILTER');
      if (value) mergeTyped(run, patch, item, value, HttpFilterSchema);
    },
  });
}

interface Typed {
  name: string;
  configType: { case: 'typedConfig'; value: Parameters<typeof mergeAny>[0] } | { case: string | undefined; value?: unknown };
}

/** A filter's config is merged as the message it is; the rest of the filter as usual. The name stays unless the patch gives one. */
function mergeTyped<Item extends Typed>(run: PatchRun, patch: EnvoyPatch, item: Item, value: Item, schema: typeof FilterSchema | typeof HttpFilterSchema | typeof ListenerFilterSchema): void {
  const copy = clone(schema, value as never) as unknown as Item;
  const theirs = copy.configType;
  const own = item.configType;
  if (theirs.case === 'typedConfig' && own.case === 'typedConfig') {
    const merged = mergeAny(own.value as Parameters<typeof mergeAny>[0], theirs.value as Parameters<typeof mergeAny>[0], listsOf(patch));
    if (typeof merged === 'string') {
      failed(run, patch, merged);
      return;
    }
    copy.configType = { case: 'typedConfig', value: merged };
  }
  mergeInto(schema, item as never, copy as never, listsOf(patch));
  applied(run, patch);
}

function cloneOf<T>(schema: Parameters<typeof clone>[0], value: T | undefined): T | undefined {
  return value === undefined ? undefined : (clone(schema, value as never) as T);
}
