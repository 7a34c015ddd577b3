/** `proxy-config listeners`. */
import { at, isJson, items, json, strings, textOf, type ConfigDump, type Json } from './dump.ts';
import { describeMatch } from './routes.ts';
import type { Row } from '../table.ts';

export interface ListenerFilter {
  readonly address?: string;
  readonly port?: number;
  readonly type?: string;
}

const HTTP = 'envoy.filters.network.http_connection_manager';
const TCP = 'envoy.filters.network.tcp_proxy';

/** ALPN lists that have a name of their own in the MATCH column. */
const NAMED_PROTOCOLS: Readonly<Record<string, string>> = {
  'http/1.0,http/1.1,h2c,istio-http/1.0,istio-http/1.1,istio-h2': 'HTTP TLS',
  'istio,istio-http/1.0,istio-http/1.1,istio-h2': 'Istio HTTP Plain',
  'istio-peer-exchange,istio': 'TCP TLS',
  'http/1.0,http/1.1,h2c': 'HTTP',
};

export const LISTENER_HEADER: Row = ['ADDRESSES', 'PORT', 'MATCH', 'DESTINATION'];

export function filterListeners(dump: ConfigDump, filter: ListenerFilter): readonly Json[] {
  return dump.listeners
    .filter((listener) =>
      (filter.address === undefined || addressesOf(listener).some((address) => address.toLowerCase() === filter.address!.toLowerCase())) &&
      (filter.port === undefined || portOf(listener) === filter.port) && (filter.type === undefined || typeOf(listener) === filter.type.toUpperCase()))
    .toSorted((a, b) => portOf(a) - portOf(b) || compare(addressesOf(a).join(','), addressesOf(b).join(',')) || compare(typeOf(a), typeOf(b)));
}

export const LISTENER_TYPE_HEADER: Row = ['ADDRESSES', 'PORT', 'TYPE'];

/** What a listener is for, without its filter chains. */
export function listenerTypeRow(listener: Json): Row {
  return [addressesOf(listener).join(','), String(portOf(listener)), typeOf(listener)];
}

/** One row a filter chain, by destination downwards, as istioctl orders them. */
export function listenerRows(listener: Json): readonly Row[] {
  const rows = chainsOf(listener).map((chain) => [addressesOf(listener).join(','), String(portOf(listener)), describeChainMatch(json(chain['filterChainMatch'])), destinationOf(items(chain['filters']))] as const);
  return rows.toSorted((a, b) => compare(b[3], a[3]));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function chainsOf(listener: Json): readonly Json[] {
  const fallback = listener['defaultFilterChain'];
  return [...items(listener['filterChains']), ...(isJson(fallback) ? [fallback] : [])];
}

function addressesOf(listener: Json): readonly string[] {
  const more = items(listener['additionalAddresses']).map((entry) => textOf(at(entry, ['address', 'socketAddress', 'address'])));
  return [textOf(at(listener, ['address', 'socketAddress', 'address'])), ...more];
}

function portOf(listener: Json): number {
  return Number(at(listener, ['address', 'socketAddress', 'portValue']) ?? 0);
}

function typeOf(listener: Json): string {
  const filters = chainsOf(listener).flatMap((chain) => items(chain['filters']));
  const http = filters.some((filter) => filter['name'] === HTTP);
  const tcp = filters.some((filter) => filter['name'] === TCP && !JSON.stringify(filter).includes('BlackHoleCluster'));
  return http && tcp ? 'HTTP+TCP' : http ? 'HTTP' : tcp ? 'TCP' : 'UNKNOWN';
}

function describeChainMatch(match: Json): string {
  const parts: string[] = [];
  const names = strings(match['serverNames']);
  if (names.length > 0) parts.push(`SNI: ${names.join(',')}`);
  if (match['transportProtocol']) parts.push(`Trans: ${textOf(match['transportProtocol'])}`);
  const protocols = strings(match['applicationProtocols']).join(',');
  if (protocols) parts.push(`App: ${Object.hasOwn(NAMED_PROTOCOLS, protocols) ? NAMED_PROTOCOLS[protocols] : protocols}`);
  const port = match['destinationPort'] === undefined ? '' : `:${textOf(match['destinationPort'])}`;
  const suffix = textOf(match['addressSuffix']);
  if (suffix) parts.push(`Addr: ${suffix}${port}`);
  const ranges = items(match['prefixRanges']).map((range) => `${textOf(range['addressPrefix'])}/${textOf(range['prefixLen']) || '0'}`);
  if (ranges.length > 0) parts.push(`Addr: ${ranges.join(',')}${port}`);
  else if (port && !suffix) parts.push(`Addr: *${port}`);
  return parts.length > 0 ? parts.join('; ') : 'ALL';
}

function destinationOf(filters: readonly Json[]): string {
  for (const filter of filters) {
    const config = json(filter['typedConfig']);
    if (filter['name'] === HTTP) {
      if (isJson(config['routeConfig'])) return describeInline(config['routeConfig']);
      const name = textOf(at(config, ['rds', 'routeConfigName']));
      return name ? `Route: ${name}` : 'HTTP';
    }
    if (filter['name'] === TCP) {
      const cluster = textOf(config['cluster']);
      if (cluster === 'BlackHoleCluster') continue;
      const weighted = items(at(config, ['weightedClusters', 'clusters'])).map((entry) => textOf(entry['name']));
      return cluster.includes('Cluster') ? cluster : `Cluster: ${cluster || weighted.join(',')}`;
    }
  }
  return 'Non-HTTP/Non-TCP';
}

function describeInline(routes: Json): string {
  const hosts = items(routes['virtualHosts']);
  const only = hosts.length === 1 ? hosts[0]! : undefined;
  const onlyRoutes = items(only?.['routes']);
  const cluster = textOf(at(onlyRoutes[0], ['route', 'cluster']));
  if (only && strings(only['domains']).join() === '*' && onlyRoutes.length === 1 && at(onlyRoutes[0], ['match', 'prefix']) === '/' && cluster) return cluster.includes('Cluster') ? cluster : `Cluster: ${cluster}`;
  const described = hosts.map((host) => {
    const domains = strings(host['domains']).join('/');
    const matches = items(host['routes']).map((route) => describeMatch(json(route['match']))).join(', ');
    return domains === '*' ? matches : `${domains} ${matches}`;
  });
  return `Inline Route: ${described.join('; ')}`;
}
