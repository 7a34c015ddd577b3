import type { UpstreamTls } from '../cluster/cluster.ts';
import { compileRegex } from '../route/regex.ts';

type Matchers = UpstreamTls['subjectAltNames'];

/** True when any name matches any matcher; no matchers match everything. @see envoy CertificateValidationContext.match_typed_subject_alt_names */
export function matchesSan(matchers: Matchers, names: readonly string[]): boolean {
  return matchers.length === 0 || names.some((name) => matchers.some((matcher) => matchOne(matcher, name)));
}

function matchOne(matcher: Matchers[number], name: string): boolean {
  switch (matcher.kind) {
    case 'exact':
      return name === matcher.value || dnsWildcard(name, matcher.value);
    case 'prefix':
      return name.startsWith(matcher.value);
    case 'suffix':
      return name.endsWith(matcher.value);
    case 'contains':
      return name.includes(matcher.value);
    case 'regex':
      return regexFor(matcher.value)(name);
  }
}

/** A certificate for `*.example.com` is good for one label below it. */
function dnsWildcard(name: string, host: string): boolean {
  if (!name.startsWith('*.')) return false;
  const dot = host.indexOf('.');
  return dot > 0 && host.slice(dot).toLowerCase() === name.slice(1).toLowerCase();
}

const compiled = new Map<string, (text: string) => boolean>();

function regexFor(pattern: string): (text: string) => boolean {
  let regex = compiled.get(pattern);
  if (regex === undefined) {
    regex = compileRegex(pattern);
    compiled.set(pattern, regex);
  }
  return regex;
}
