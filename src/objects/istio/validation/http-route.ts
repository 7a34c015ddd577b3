import type { StringMatch } from '../common.ts';
import type { Headers, HTTPMatchRequest, HTTPRoute } from '../virtual-service.ts';
import { checkDestination, checkTotalWeight } from './common.ts';
import type { Findings } from './findings.ts';
import { checkCorsPolicy, checkFault, checkRetries } from './http-policies.ts';
import { regexProblem } from './names.ts';

type Of = 'independent' | 'root' | 'delegate';

/** One `spec.http` route. `inDelegate`: of a virtual service without hosts. */
export function checkHttpRoute(findings: Findings, path: string, route: HTTPRoute, inDelegate: boolean): void {
  const of: Of = inDelegate ? 'delegate' : route.delegate ? 'root' : 'independent';
  checkActions(findings, path, route, of);
  route.match?.forEach((match, index) => checkMatch(findings, `${path}.match[${index}]`, match, of));
  checkHeaders(findings, `${path}.headers`, route.headers);
  checkAuthorityOnce(findings, path, route);
  checkMirrors(findings, path, route);
  if (route.redirect) checkRedirect(findings, `${path}.redirect`, route.redirect);
  if (route.rewrite) checkRewrite(findings, `${path}.rewrite`, route.rewrite);
  if (route.directResponse) checkDirectResponse(findings, `${path}.directResponse`, route.directResponse);
  checkCorsPolicy(findings, `${path}.corsPolicy`, route.corsPolicy);
  checkFault(findings, `${path}.fault`, route.fault);
  checkRetries(findings, `${path}.retries`, route.retries);
  route.route?.forEach(({ destination, weight, headers }, index) => {
    const at = `${path}.route[${index}]`;
    checkDestination(findings, `${at}.destination`, destination);
    checkHeaders(findings, `${at}.headers`, headers);
    if ((weight ?? 0) < 0) findings.error(`${at}.weight`, `weight ${weight} < 0`);
  });
  checkTotalWeight(findings, `${path}.route`, route.route ?? []);
}

function checkActions(findings: Findings, path: string, route: HTTPRoute, of: Of): void {
  if (of === 'root') {
    for (const field of ['redirect', 'route', 'directResponse'] as const) {
      if (route[field] !== undefined) findings.error(`${path}.${field}`, `root HTTP route ${route.name ?? ''} must not specify ${field}`, 'a route that delegates leaves the action to the delegate');
    }
    return;
  }
  if (of === 'delegate' && route.delegate) findings.error(`${path}.delegate`, 'delegate HTTP route cannot contain delegate', 'only one level of delegation is supported');
  const hasRoute = (route.route?.length ?? 0) > 0;
  if (route.redirect && hasRoute) findings.error(path, 'HTTP route cannot contain both route and redirect');
  if (route.directResponse && hasRoute) findings.error(path, 'HTTP route cannot contain both route and directResponse');
  if (route.directResponse && route.redirect) findings.error(path, 'HTTP route cannot contain both redirect and directResponse');
  if (route.redirect && route.fault) findings.error(path, 'HTTP route cannot contain both fault and redirect');
  if (route.redirect && route.rewrite) findings.error(path, 'HTTP route rule cannot contain both rewrite and redirect');
  if (route.directResponse && route.rewrite) findings.error(path, 'HTTP route rule cannot contain both rewrite and directResponse');
  if (!route.redirect && !route.directResponse && !hasRoute) findings.error(path, 'HTTP route, redirect or directResponse is required', 'add route with a destination');
}

function checkMatch(findings: Findings, path: string, match: HTTPMatchRequest, of: Of): void {
  for (const field of ['uri', 'scheme', 'method', 'authority'] as const) checkStringMatch(findings, `${path}.${field}`, match[field], of);
  for (const field of ['headers', 'withoutHeaders', 'queryParams'] as const) {
    for (const [name, value] of Object.entries(match[field] ?? {})) {
      if (name === '') findings.error(`${path}.${field}`, field === 'queryParams' ? 'query parameter name cannot be empty' : 'header name cannot be empty');
      if (field !== 'queryParams' && name !== name.toLowerCase() && !name.startsWith('@')) findings.warn(`${path}.${field}.${name}`, `header names are lower case; "${name}" is taken as "${name.toLowerCase()}"`);
      checkStringMatch(findings, `${path}.${field}.${name}`, value, of);
    }
  }
  if (match.ignoreUriCase && match.uri?.regex !== undefined) findings.warn(`${path}.ignoreUriCase`, 'ignoreUriCase has no effect on a regex match', 'begin the expression with (?i)');
}

function checkStringMatch(findings: Findings, path: string, match: StringMatch | undefined, of: Of): void {
  if (!match) return;
  if ([match.exact, match.prefix, match.regex].filter((value) => value !== undefined).length > 1) findings.error(path, 'only one of exact, prefix and regex can be set');
  if (match.regex === undefined) return;
  if (of !== 'independent') findings.error(path, 'regex match is not supported for delegating', 'use exact or prefix');
  else if (match.regex !== '*') findings.problem(path, regexProblem(match.regex));
}

const HEADER_NAME = /^[-_A-Za-z0-9]+$/;
const isAuthority = (name: string): boolean => ['host', ':authority'].includes(name.toLowerCase());

function checkHeaders(findings: Findings, path: string, headers: Headers | undefined): void {
  for (const direction of ['request', 'response'] as const) {
    const operations = headers?.[direction];
    for (const operation of ['set', 'add'] as const) {
      for (const [name, value] of Object.entries(operations?.[operation] ?? {})) {
        checkHeaderName(findings, `${path}.${direction}.${operation}.${name}`, name, direction === 'request');
        checkHeaderValue(findings, `${path}.${direction}.${operation}.${name}`, value);
      }
    }
    operations?.remove?.forEach((name, index) => checkHeaderName(findings, `${path}.${direction}.remove[${index}]`, name, false));
  }
}

function checkHeaderName(findings: Findings, path: string, name: string, mayBeAuthority: boolean): void {
  if (name === '') findings.error(path, 'header name cannot be empty');
  else if (isAuthority(name)) {
    if (!mayBeAuthority) findings.error(path, `invalid header "${name}": header cannot have value "${name}" here`, 'only headers.request.set may change the authority');
  } else if (name.startsWith(':')) findings.error(path, `invalid header "${name}": pseudo headers cannot be changed`);
  else if (!HEADER_NAME.test(name)) findings.error(path, `header name ${name} is not a valid header name`);
}

/** Values are Envoy format strings: `%%` is a percent sign, `%COMMAND%` a command. */
function checkHeaderValue(findings: Findings, path: string, value: string): void {
  const rest = value.replaceAll('%%', '').replace(/%[A-Z_0-9]+(\([^%]*\))?(:\d+)?%/g, '');
  if (rest.includes('%')) findings.error(path, `header value ${JSON.stringify(value)} has a stray "%"`, 'write %% for a percent sign');
  if (/[\r\n\0]/.test(value)) findings.error(path, 'header value must not contain line breaks');
}

function checkAuthorityOnce(findings: Findings, path: string, route: HTTPRoute): void {
  const given: string[] = route.rewrite?.authority ? [route.rewrite.authority] : [];
  for (const operation of ['set', 'add'] as const) {
    for (const [name, value] of Object.entries(route.headers?.request?.[operation] ?? {})) if (isAuthority(name)) given.push(value);
  }
  if (given.length > 1) findings.error(path, `authority header cannot be set multiple times: have "${given[0]}", attempting to set "${given[1]}"`);
}

function checkMirrors(findings: Findings, path: string, route: HTTPRoute): void {
  const percent = route.mirrorPercent ?? route.mirror_percent;
  if (percent !== undefined && percent !== null) {
    if (percent > 100) findings.error(`${path}.mirrorPercent`, `mirrorPercent must have a max value of 100 (it has ${percent})`);
    findings.deprecated(`${path}.mirrorPercent`, 'using deprecated setting "mirrorPercent"', 'use "mirrorPercentage" instead');
  }
  checkFraction(findings, `${path}.mirrorPercentage`, route.mirrorPercentage?.value);
  if (route.mirror && route.mirrors?.length) findings.error(path, 'HTTP route cannot contain both mirror and mirrors');
  if (route.mirror) checkDestination(findings, `${path}.mirror`, route.mirror);
  route.mirrors?.forEach((mirror, index) => {
    checkDestination(findings, `${path}.mirrors[${index}].destination`, mirror.destination);
    checkFraction(findings, `${path}.mirrors[${index}].percentage`, mirror.percentage?.value);
  });
}

function checkFraction(findings: Findings, path: string, value = 0): void {
  if (value < 0 || value > 100) findings.error(path, `percentage must be between 0 and 100 (it is ${value})`);
}

const REDIRECT_CODES = [0, 301, 302, 303, 307, 308];

function checkRedirect(findings: Findings, path: string, redirect: NonNullable<HTTPRoute['redirect']>): void {
  const { uri, authority, scheme, prefixRewrite, port, derivePort, redirectCode = 0 } = redirect;
  if (!uri && !authority && !scheme && !prefixRewrite && !port && derivePort === undefined) findings.error(path, 'redirect must specify URI, authority, scheme, or port');
  if (uri && prefixRewrite) findings.error(path, 'redirect cannot contain both uri and prefixRewrite');
  if (port && derivePort !== undefined) findings.error(path, 'redirect cannot contain both port and derivePort');
  if (!REDIRECT_CODES.includes(redirectCode)) findings.error(`${path}.redirectCode`, `${redirectCode} is not a valid redirect code, must be 301, 302, 303, 307 or 308`);
  if (scheme && !['http', 'https'].includes(scheme)) findings.error(`${path}.scheme`, 'invalid redirect scheme, must be "http" or "https"');
}

function checkRewrite(findings: Findings, path: string, rewrite: NonNullable<HTTPRoute['rewrite']>): void {
  const regex = rewrite.uriRegexRewrite;
  if (!rewrite.uri && !rewrite.authority && !regex) findings.error(path, 'rewrite must specify URI, uriRegexRewrite, authority, or both');
  if (rewrite.uri && regex) findings.error(path, 'rewrite may only contain one of URI or uriRegexRewrite');
  if (!regex) return;
  if (!regex.match || regex.rewrite === undefined) findings.error(`${path}.uriRegexRewrite`, 'uriRegexRewrite requires both match and rewrite');
  else findings.problem(`${path}.uriRegexRewrite.match`, regexProblem(regex.match));
}

const LARGE_BODY_BYTES = 100 * 1024;
const MAX_BODY_BYTES = 1 << 20;

function checkDirectResponse(findings: Findings, path: string, response: NonNullable<HTTPRoute['directResponse']>): void {
  if (response.status < 200 || response.status > 599) findings.error(`${path}.status`, `HTTP status ${response.status} is not in range 200-599`);
  const { string, bytes } = response.body ?? {};
  if (string !== undefined && bytes !== undefined) findings.error(`${path}.body`, 'only one of string and bytes can be set');
  const size = string === undefined ? Math.floor(((bytes ?? '').length * 3) / 4) : string.length;
  if (size > MAX_BODY_BYTES) findings.error(`${path}.body`, `body of ${size} bytes is larger than 1 MB`);
  else if (size > LARGE_BODY_BYTES) findings.warn(`${path}.body`, `large direct responses may impact control plane performance: ${size} bytes`);
}
