/** Routes of a VirtualService that never take a request, because an earlier one takes everything they match. */
import type { HTTPMatchRequest, VirtualService } from '../virtual-service.ts';
import type { Findings } from './findings.ts';

/** Codes and wording are those of Istio's analyzers. @see https://istio.io/latest/docs/reference/config/analysis/ */
const UNREACHABLE = 'IST0130';
const INEFFECTIVE = 'IST0131';

interface Rule {
  readonly name?: string;
  readonly match?: readonly object[];
}

export function checkUnreachable(findings: Findings, spec: VirtualService['spec']): void {
  checkRules(findings, 'spec.http', spec.http ?? []);
  checkRules(findings, 'spec.tcp', spec.tcp ?? []);
  checkRules(findings, 'spec.tls', spec.tls ?? []);
  checkOverlaps(findings, spec.http ?? []);
}

/** Rules after one that takes everything, and matches that an earlier rule has too. */
function checkRules(findings: Findings, path: string, rules: readonly Rule[]): void {
  const seen = new Map<string, number>();
  let catchAll = false;
  rules.forEach((rule, index) => {
    const at = `${path}[${index}]`;
    const matches = rule.match ?? [];
    if (matches.length === 0) {
      if (catchAll) unreachable(findings, at, nameOf(rule, index), 'only the last rule can have no matches', 'remove the rule, or give the earlier one a match');
      catchAll = true;
      return;
    }
    if (catchAll) return unreachable(findings, at, nameOf(rule, index), 'route without matches defined before', 'move the rule without match to the end');
    let duplicates = 0;
    matches.forEach((match, position) => {
      const key = keyOf(match);
      const earlier = seen.get(key);
      if (earlier === undefined) return void seen.set(key, index);
      duplicates += 1;
      ineffective(findings, `${at}.match[${position}]`, nameOf(rule, index), nameOf(match, position), nameOf(rules[earlier]!, earlier));
    });
    if (duplicates === matches.length) unreachable(findings, at, nameOf(rule, index), 'all matches used by prior rules', 'remove one of the rules');
  });
}

interface PrefixMatch {
  readonly match: HTTPMatchRequest;
  readonly prefix: string;
  readonly rule: string;
  readonly name: string;
  readonly path: string;
}

/** Prefixes that lie under an earlier, wider one with the same other conditions. */
function checkOverlaps(findings: Findings, routes: NonNullable<VirtualService['spec']['http']>): void {
  const seen: PrefixMatch[] = [];
  for (const [index, route] of routes.entries()) {
    if (!route.match?.length) return;
    for (const [position, match] of route.match.entries()) {
      const prefix = match.uri?.prefix;
      if (!prefix) continue;
      const own = { match, prefix, rule: nameOf(route, index), name: nameOf(match, position), path: `spec.http[${index}].match[${position}]` };
      for (const earlier of seen)
        if (earlier.prefix !== prefix && covers(earlier, own))
          ineffective(findings, own.path, own.rule, `${own.name} of prefix ${prefix}`, `${earlier.name} of prefix ${earlier.prefix} on ${earlier.rule}`);
      seen.push(own);
    }
  }
}

/** The conditions Istio compares: port, method (GET when absent), authority, headers, query parameters, withoutHeaders. */
function covers(wide: PrefixMatch, narrow: PrefixMatch): boolean {
  const [a, b] = [wide.match, narrow.match];
  return narrow.prefix.startsWith(wide.prefix) && (a.port ?? 0) === (b.port ?? 0)
    && (text(a.method) || 'exact:GET').startsWith(text(b.method) || 'exact:GET') && text(a.authority).startsWith(text(b.authority))
    && coversAll(a.headers, b.headers) && coversAll(a.queryParams, b.queryParams) && coversAll(a.withoutHeaders, b.withoutHeaders);
}

type Match = HTTPMatchRequest['method'];

function coversAll(wide: Readonly<Record<string, Match>> | undefined, narrow: Readonly<Record<string, Match>> | undefined): boolean {
  const other = new Map(Object.entries(narrow ?? {}));
  const own = Object.entries(wide ?? {});
  return own.length === other.size && own.every(([key, match]) => other.has(key) && text(match).startsWith(text(other.get(key))));
}

function text(match: Match): string {
  if (match?.exact) return `exact:${match.exact}`;
  return match?.prefix ? `prefix:${match.prefix}` : '';
}

/** A match without its name, keys in one order: what it does. */
function keyOf(match: object): string {
  const { name: _name, ...rest } = match as { readonly name?: string };
  return JSON.stringify(rest, (_, value: unknown) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value));
}

function nameOf(rule: { readonly name?: string }, index: number): string {
  return rule.name ? JSON.stringify(rule.name) : `#${index}`;
}

function unreachable(findings: Findings, path: string, rule: string, reason: string, fix: string): void {
  findings.warn(path, `VirtualService rule ${rule} not used (${reason}).`, fix, UNREACHABLE);
}

function ineffective(findings: Findings, path: string, rule: string, match: string, duplicate: string): void {
  findings.warn(path, `VirtualService rule ${rule} match ${match} is not used (duplicate/overlapping match in rule ${duplicate}).`, 'remove the match, or put the narrower one first', INEFFECTIVE);
}
