import type { HcmRuntime } from '../config/runtime.ts';
import type { HttpFilter } from '../filters/http-filter.ts';
import { httpFilterFactory } from '../filters/registry.ts';
import type { ClusterChoice, RouteEntry } from '../route/route-table.ts';

const NO_CONFIG: ReadonlyMap<string, unknown> = new Map();

/** The filters of one connection manager, made once per route: per-route configs decide what a filter does. */
export class FilterChain {
  private readonly made = new WeakMap<object, readonly HttpFilter[]>();
  private withoutRoute: readonly HttpFilter[] | undefined;

  constructor(private readonly hcm: HcmRuntime) {}

  /** Filters for a request, in request order. The choice's configs win over the route's. */
  filters(route: RouteEntry | undefined, choice: ClusterChoice | undefined): readonly HttpFilter[] {
    if (route === undefined) return (this.withoutRoute ??= this.create(undefined, undefined));
    const specific = choice !== undefined && choice.typedPerFilterConfig.size > 0 ? choice : undefined;
    const key = specific ?? route;
    let filters = this.made.get(key);
    if (filters === undefined) this.made.set(key, (filters = this.create(route, specific)));
    return filters;
  }

  private create(route: RouteEntry | undefined, choice: ClusterChoice | undefined): readonly HttpFilter[] {
    const filters: HttpFilter[] = [];
    for (const { name, typeUrl, config } of this.hcm.httpFilters) {
      const routeConfig = (choice?.typedPerFilterConfig ?? NO_CONFIG).get(name) ?? (route?.typedPerFilterConfig ?? NO_CONFIG).get(name);
      const filter = httpFilterFactory(typeUrl)?.create(config, routeConfig);
      if (filter !== undefined) filters.push(filter);
    }
    return filters;
  }
}
