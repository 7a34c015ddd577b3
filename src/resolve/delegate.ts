import type { Issue } from '../base/issue.ts';
import { contentHash } from '../model/hash.ts';
import type { HttpMatch, HttpRoute, NamedMatch, StringMatch, VirtualService } from '../model/virtual-service.ts';
import { isVisibleTo } from '../model/visibility.ts';

/** A VirtualService as read: some routes may still point to a delegate. */
export interface ReadVirtualService extends Omit<VirtualService, 'http'> {
  readonly http: readonly ReadHttpRoute[];
}

export interface ReadHttpRoute extends HttpRoute {
  readonly delegate?: { readonly name: string; readonly namespace: string };
}

/**
 * Puts the routes of delegates (VirtualServices without hosts) in the place of the routes that point to them. One level only. The match of both must hold: the
 * delegate's may narrow the root's; where they contradict, the route is left out and reported. Fields of the delegate win over the root's.
 * @see https://istio.io/latest/docs/reference/config/networking/virtual-service/#Delegate
 */
export function mergeDelegates(rules: readonly ReadVirtualService[], issues: Issue[]): readonly VirtualService[] {
  const delegates = new Map(rules.filter((rule) => rule.hosts.length === 0).map((rule) => [`${rule.namespace}/${rule.name}`, rule]));
  return rules.filter((rule) => rule.hosts.length > 0).map((rule) => {
    if (!rule.http.some((route) => route.delegate)) return rule;
    const used: string[] = [];
    const http = rule.http.flatMap((route, index): readonly HttpRoute[] => {
      if (!route.delegate) return [route];
      const key = `${route.delegate.namespace || rule.namespace}/${route.delegate.name}`;
      const delegate = delegates.get(key);
      const report = (code: string, message: string) =>
        issues.push({ severity: 'warning', code, object: { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', namespace: rule.namespace, name: rule.name }, path: `spec.http[${index}].delegate`, message });
      if (!delegate || !isVisibleTo(delegate.visibility, rule.namespace)) {
        report('IST0101', `Referenced delegate not found: "${key}"`);
        return [];
      }
      used.push(delegate.digest);
      return delegate.http.flatMap((inner) => mergeRoute(route, inner, (name) => report('MLT0004', `Route "${name}" of delegate "${key}" can never match together with its root; it is left out.`)));
    });
    return { ...rule, http, digest: contentHash([rule.digest, used]) };
  });
}

function mergeRoute(root: ReadHttpRoute, inner: ReadHttpRoute, onConflict: (name: string) => void): readonly HttpRoute[] {
  const matches = mergeMatches(root.matches, inner.matches);
  if (!matches || inner.delegate) {
    onConflict(inner.name);
    return [];
  }
  return [{
    name: root.name && inner.name ? `${root.name}-${inner.name}` : root.name || inner.name,
    matches, action: inner.action, rewrite: inner.rewrite ?? root.rewrite, timeoutMs: inner.timeoutMs ?? root.timeoutMs, retries: inner.retries ?? root.retries,
    fault: inner.fault ?? root.fault, mirrors: inner.mirrors.length > 0 ? inner.mirrors : root.mirrors, cors: inner.cors ?? root.cors,
    request: isEmpty(inner.request) ? root.request : inner.request, response: isEmpty(inner.response) ? root.response : inner.response,
  }];
}

function isEmpty(operations: HttpRoute['request']): boolean {
  return operations.set.length === 0 && operations.add.length === 0 && operations.remove.length === 0;
}

/** Every pair that can hold together; undefined when none can. */
function mergeMatches(root: readonly HttpMatch[], inner: readonly HttpMatch[]): readonly HttpMatch[] | undefined {
  if (root.length === 0) return inner;
  if (inner.length === 0) return root;
  const pairs = root.flatMap((outer) => inner.flatMap((own) => mergeMatch(outer, own) ?? []));
  return pairs.length > 0 ? pairs : undefined;
}

function mergeMatch(root: HttpMatch, inner: HttpMatch): HttpMatch | undefined {
  const uri = mergeUri(root.uri, inner.uri);
  const single = (a: StringMatch | undefined, b: StringMatch | undefined) => (!a || !b || same(a, b) ? { value: b ?? a } : undefined);
  const [scheme, method, authority] = [single(root.scheme, inner.scheme), single(root.method, inner.method), single(root.authority, inner.authority)];
  const [headers, withoutHeaders, queryParams] = [mergeNamed(root.headers, inner.headers), mergeNamed(root.withoutHeaders, inner.withoutHeaders), mergeNamed(root.queryParams, inner.queryParams)];
  if (!uri || !scheme || !method || !authority || !headers || !withoutHeaders || !queryParams) return undefined;
  if (root.port !== 0 && inner.port !== 0 && root.port !== inner.port) return undefined;
  return {
    name: root.name && inner.name ? `${root.name}-${inner.name}` : root.name || inner.name, uri: uri.value, ignoreUriCase: inner.uri ? inner.ignoreUriCase : root.ignoreUriCase,
    scheme: scheme.value, method: method.value, authority: authority.value, headers, withoutHeaders, queryParams, port: inner.port || root.port,
    sourceLabels: { ...root.sourceLabels, ...inner.sourceLabels }, sourceNamespace: inner.sourceNamespace || root.sourceNamespace,
    gateways: inner.gateways.length > 0 ? inner.gateways : root.gateways, statPrefix: inner.statPrefix || root.statPrefix,
  };
}

function same(a: StringMatch, b: StringMatch): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The delegate's path must lie inside the root's. Two regular expressions, or one beside another match, cannot be compared. */
function mergeUri(root: StringMatch | undefined, inner: StringMatch | undefined): { readonly value: StringMatch | undefined } | undefined {
  if (!root || !inner) return { value: inner ?? root };
  if (root.kind === 'prefix' && (inner.kind === 'prefix' || inner.kind === 'exact')) return inner.value.startsWith(root.value) ? { value: inner } : undefined;
  return same(root, inner) && root.kind !== 'regex' ? { value: inner } : undefined;
}

function mergeNamed(root: readonly NamedMatch[], inner: readonly NamedMatch[]): readonly NamedMatch[] | undefined {
  const merged = new Map(root.map((entry) => [entry.name, entry]));
  for (const entry of inner) {
    const known = merged.get(entry.name);
    if (known && !same(known.match, entry.match)) return undefined;
    merged.set(entry.name, entry);
  }
  return [...merged.values()];
}
