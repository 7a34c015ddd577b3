import type { HcmRuntime } from '../config/runtime.ts';
import type { HttpFilter } from '../filters/http-filter.ts';
import { httpFilterFactory } from '../filters/registry.ts';
import type { ClusterChoice, RouteEntry } from '../route/route-table.ts';

const NO_CONFIG: ReadonlyMap<string, unknown> = new Map();

/** Filters by what they look at, in request order. */
export interface ChosenFilters {
  readonly request: readonly HttpFilter[];
  readonly response: readonly HttpFilter[];
}

/** No filters: of a request that was not routed yet. */
export const NO_FILTERS: ChosenFilters = { request: [], response: [] };

/** The filters of one connection manager, made once per route: per-route configs decide what a filter does. */
export class FilterChain {
  private readonly made = new WeakMap<object, ChosenFilters>();
  private withoutRoute: ChosenFilters | undefined;
  /** The last answer: most requests take the route of the one before. */
  private lastKey: object | undefined;
  private last = NO_FILTERS;

  constructor(private readonly hcm: HcmRuntime) {}

  /** Filters for a request, in request order. The choice's configs win over the route's. */
  filters(route: RouteEntry | undefined, choice: ClusterChoice | undefined): ChosenFilters {
    if (route === undefined) return (this.withoutRoute ??= this.create(undefined, undefined));
    const specific = choice !== undefined && choice.typedPerFilterConfig.size > 0 ? choice : undefined;
    const key = specific ?? route;
    if (key === this.lastKey) return this.last;
    let filters = this.made.get(key);
    if (filters === undefined) this.made.set(key, (filters = this.create(route, specific)));
    this.lastKey = key;
    this.last = filters;
    return filters;
  }

  private create(route: RouteEntry | undefined, choice: ClusterChoice | undefined): ChosenFilters {
    const filters: HttpFilter[] = [];
    for (const { name, typeUrl, config } of this.hcm.httpFilters) {
      const routeConfig = (choice?.typedPerFilterConfig ?? NO_CONFIG).get(name) ?? (route?.typedPerFilterConfig ?? NO_CONFIG).get(name);
      const filter = httpFilterFactory(typeUrl)?.create(config, routeConfig);
      if (filter !== undefined) filters.push(filter);
    }
    return { request: filters.filter((filter) => filter.onRequest !== undefined), response: filters.filter((filter) => filter.onResponse !== undefined) };
  }
}
