/** `proxy-config routes`. */
import { configOwner } from './clusters.ts';
import { at, items, json, strings, textOf, type ConfigDump, type Json } from './dump.ts';
import type { Row } from '../table.ts';

export const ROUTE_HEADER: Row = ['NAME', 'VHOST NAME', 'DOMAINS', 'MATCH', 'VIRTUAL SERVICE'];

export function filterRoutes(dump: ConfigDump, name: string | undefined): readonly Json[] {
  return dump.routes.filter((route) => name === undefined || textOf(route['name']) === name).toSorted((a, b) => {
    const [x, y] = [Number(textOf(a['name'])), Number(textOf(b['name']))];
    return textOf(a['name']) && textOf(b['name']) && Number.isInteger(x) && Number.isInteger(y) ? x - y : 0;
  });
}

export const BRIEF_ROUTE_HEADER: Row = ['NAME', 'VIRTUAL HOSTS'];

/** A route configuration by the number of its virtual hosts. */
export function briefRouteRow(config: Json, prefix = ''): Row {
  return [prefix + textOf(config['name']), String(items(config['virtualHosts']).length)];
}

/** One row a route; a virtual host without routes answers 404, routes to PassthroughCluster are left out. */
export function routeRows(config: Json, prefix = ''): readonly Row[] {
  const name = prefix + textOf(config['name']);
  return items(config['virtualHosts']).flatMap((host): readonly Row[] => {
    const [title, domains] = [textOf(host['name']), describeDomains(strings(host['domains']))];
    const routes = items(host['routes']);
    if (routes.length === 0) return [[name, title, domains, '/*', '404']];
    return routes
      .filter((route) => at(route, ['route', 'cluster']) !== 'PassthroughCluster')
      .map((route) => [name, title, domains, describeMatch(json(route['match'])), configOwner(route)]);
  });
}

/** Path part of a match: `/get*` for a prefix, the path itself when exact. */
export function describeMatch(match: Json): string {
  const parts: string[] = [];
  if (match['prefix']) parts.push(`${textOf(match['prefix'])}*`);
  if (match['pathSeparatedPrefix']) parts.push(`PathPrefix:${textOf(match['pathSeparatedPrefix'])}`);
  if (match['path']) parts.push(textOf(match['path']));
  const regex = at(match, ['safeRegex', 'regex']);
  if (regex !== undefined) parts.push(`regex ${textOf(regex)}`);
  return parts.join(' ');
}

/** Up to two domains, and how many more: ports, trailing dots and the longer spellings of a name that is there are left out. */
function describeDomains(domains: readonly string[]): string {
  const names = new Set(domains.map((domain) => (/^[^:]+:(\d+|\*)$/.test(domain) ? domain.slice(0, domain.lastIndexOf(':')) : domain).replace(/(?<=.)\.$/, '')));
  const shorter = (name: string) => [name.replace(/\.svc(\.cluster\.local)?$/, '')].some((short) => short !== name && names.has(short));
  const plain = [...names].filter((name) => !shorter(name));
  return plain.length > 2 ? `${plain.slice(0, 2).join(', ')} + ${plain.length - 2} more...` : plain.join(', ');
}
