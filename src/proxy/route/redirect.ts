import type { RedirectAction } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import type { RequestHead } from '../http/message.ts';
import { compilePathRewrite, withoutQuery, type PathMatch } from './path-match.ts';
import type { RouteAction } from './route-table.ts';

const STATUS = [301, 302, 303, 307, 308];

/**
 * A redirect: scheme, host, port and path of the request except for what the action replaces. A `:80` or `:443` that the old scheme implied goes when the scheme changes.
 * @see envoy.config.route.v3.RedirectAction
 */
export function compileRedirect(redirect: RedirectAction, match: PathMatch): RouteAction {
  const scheme = schemeOf(redirect);
  const path = compileRedirectPath(redirect, match);
  const port = redirect.portRedirect ? `:${redirect.portRedirect}` : '';
  const status = STATUS[redirect.responseCode];
  if (status === undefined) throw new Error(`redirect.response_code ${redirect.responseCode} is not known`);
  return {
    kind: 'redirect',
    status,
    location: (head) => {
      const to = scheme ?? head.scheme;
      const host = redirect.hostRedirect || withoutImpliedPort(head, to, port !== '');
      return `${to}://${host}${port}${path(head.path)}`;
    },
  };
}

function schemeOf(redirect: RedirectAction): string | undefined {
  const specifier = redirect.schemeRewriteSpecifier;
  if (specifier.case === 'httpsRedirect') return specifier.value ? 'https' : undefined;
  return specifier.case === 'schemeRedirect' && specifier.value ? specifier.value : undefined;
}

function withoutImpliedPort(head: RequestHead, newScheme: string, newPort: boolean): string {
  const host = head.authority;
  const found = /^(\[.*\]|[^:]*)(:\d+)$/.exec(host);
  if (!found) return host;
  const implied = newScheme !== head.scheme && found[2] === (head.scheme === 'https' ? ':443' : ':80');
  return newPort || implied ? found[1]! : host;
}

function compileRedirectPath(redirect: RedirectAction, match: PathMatch): (path: string) => string {
  const { pathRewriteSpecifier: specifier, stripQuery } = redirect;
  if (specifier.case === 'pathRedirect' && specifier.value) {
    // A query in path_redirect wins over the request's and stays even with strip_query.
    if (specifier.value.includes('?') || stripQuery) return () => specifier.value;
    return (path) => specifier.value + (path.includes('?') ? path.slice(path.indexOf('?')) : '');
  }
  const rewrite = compilePathRewrite(
    { prefixRewrite: specifier.case === 'prefixRewrite' ? specifier.value : '', ...(specifier.case === 'regexRewrite' && { regexRewrite: specifier.value }) },
    match,
  );
  return (path) => {
    const rewritten = rewrite ? rewrite(path) : path;
    return stripQuery ? withoutQuery(rewritten) : rewritten;
  };
}
