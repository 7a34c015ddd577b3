/** What a proxy's dump says about a service: which rules configured it. Generated routes and clusters carry the path of their object in metadata. */
import { at, items, json, strings, textOf, type ConfigDump, type Json } from '../proxy-config/dump.ts';

export interface ObjectName {
  readonly name: string;
  readonly namespace: string;
}

export interface ServicePortName extends ObjectName {
  readonly port: number;
}

/** The DestinationRule of the service's outbound clusters. */
export function destinationRuleOf(dump: ConfigDump, { name, namespace, port }: ServicePortName): ObjectName | undefined {
  const wanted = new RegExp(`^outbound\\|${port}\\|[^|]*\\|${escaped(name)}\\.${escaped(namespace)}\\.svc\\.cluster\\.local$`);
  const cluster = dump.clusters.find((one) => wanted.test(textOf(one['name'])) && one['metadata'] !== undefined);
  return nameFrom(cluster, 'destination-rule');
}

/** The VirtualService of the first route that leads to the service. */
export function virtualServiceOf(dump: ConfigDump, service: ServicePortName): ObjectName | undefined {
  const tables = dump.routes.filter((table) => textOf(table['name']) === String(service.port) || /^https?\./.test(textOf(table['name'])));
  for (const table of tables)
    for (const host of items(table['virtualHosts']))
      for (const route of items(host['routes']))
        if (leadsTo(route, host, service)) return nameFrom(route, 'virtual-service');
  return undefined;
}

function leadsTo(route: Json, host: Json, { name, namespace, port }: ServicePortName): boolean {
  const own = `${name}.${namespace}.svc.cluster.local`;
  if (strings(host['domains']).some((domain) => domain === own || domain.endsWith(`/${own}`))) return true;
  const weighted = items(at(route, ['route', 'weightedClusters', 'clusters']));
  const cluster = textOf(weighted[0]?.['name'] ?? at(route, ['route', 'cluster']));
  return new RegExp(`^outbound\\|${port}\\|[^|]*\\|${escaped(own)}$`).test(cluster);
}

function nameFrom(owner: Json | undefined, kind: string): ObjectName | undefined {
  const path = textOf(at(owner, ['metadata', 'filterMetadata', 'istio', 'config']));
  const match = new RegExp(`/apis/networking(?:\\.istio\\.io)?/v1(?:alpha3)?/namespaces/([^/]+)/${kind}/([^/]+)`).exec(path);
  return match ? { namespace: match[1]!, name: match[2]! } : undefined;
}

/** Names of the authorization policies of the inbound listener. */
export function rbacPoliciesOf(dump: ConfigDump): readonly string[] {
  const inbound = dump.listeners.find((listener) => listener['name'] === 'virtualInbound');
  for (const chain of items(inbound?.['filterChains']))
    for (const filter of items(chain['filters'])) {
      const filters = items(at(filter, ['typedConfig', 'httpFilters']));
      if (filters.length === 0) continue;
      const rbac = filters.find((one) => one['name'] === 'envoy.filters.http.rbac');
      return Object.keys(json(at(rbac, ['typedConfig', 'rules', 'policies'])));
    }
  return [];
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
