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

/** Stands for a filter whose config did not come: nothing may pass that it might have stopped. @see Envoy MissingConfigFilter */
const WITHOUT_CONFIG: HttpFilter = { onRequest: () => ({ kind: 'reply', reply: { status: 500, body: '', details: '', flag: 'NFCF' } }) };

/** The filters of one connection manager, made once per route: per-route configs decide what a filter does. */
export class FilterChain {
  private made = new WeakMap<object, ChosenFilters>();
  /** Of the discovered configs that filters were made from. */
  private version = 0;
  private withoutRoute: ChosenFilters | undefined;
  /** The last answer: most requests take the route of the one before. */
  private lastKey: object | undefined;
  private last = NO_FILTERS;

  constructor(private readonly hcm: HcmRuntime) {}

  /** Filters for a request, in request order. The choice's configs win over the route's. */
  filters(route: RouteEntry | undefined, choice: ClusterChoice | undefined): ChosenFilters {
    const { extensions } = this.hcm;
    if (extensions !== undefined && extensions.version !== this.version) this.forget(extensions.version);
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

  /** A filter config changed: filters are made anew for the requests to come. */
  private forget(version: number): void {
    this.version = version;
    this.made = new WeakMap();
    this.withoutRoute = undefined;
    this.lastKey = undefined;
  }

  private create(route: RouteEntry | undefined, choice: ClusterChoice | undefined): ChosenFilters {
    const filters: HttpFilter[] = [];
    for (const { name, discovered, ...own } of this.hcm.httpFilters) {
      const current = discovered === undefined ? own : discovered();
      if (current === undefined) {
        filters.push(WITHOUT_CONFIG);
        continue;
      }
      const { typeUrl, config } = current;
      const routeConfig = (choice?.typedPerFilterConfig ?? NO_CONFIG).get(name) ?? (route?.typedPerFilterConfig ?? NO_CONFIG).get(name);
      const filter = httpFilterFactory(typeUrl)?.create(config, routeConfig);
      if (filter !== undefined) filters.push(filter);
    }
    return { request: filters.filter((filter) => filter.onRequest !== undefined), response: filters.filter((filter) => filter.onResponse !== undefined) };
  }
}
