import type { HcmRuntime } from '../config/runtime.ts';
import type { LocalReply } from '../filters/http-filter.ts';
import type { RequestHead } from '../http/message.ts';
import type { RouteAction } from '../route/route-table.ts';
import { isPlainPath, normalizeRequestPath } from './path.ts';

/** True: the route, or else the connection manager, takes upgrades of this kind; without an upgrade the request is a CONNECT, which nobody answers with 403 when no route is for it. */
export function allowsUpgrade(upgrade: string | undefined, action: RouteAction | undefined, hcm: HcmRuntime): boolean {
  if (upgrade === undefined && action === undefined) return true;
  const kind = upgrade ?? 'connect';
  return (action?.kind === 'forward' ? action.upgrades.get(kind) : undefined) ?? hcm.upgrades.has(kind);
}

/** Checks a request before anything else looks at it and normalizes path and port. Returns the refusal, if any. @see Envoy ConnectionManagerImpl::ActiveStream::decodeHeaders */
export function refuseRequest(request: RequestHead, hcm: HcmRuntime): LocalReply | undefined {
  if (request.authority === '' && request.protocol !== 'HTTP/1.1') return { status: 400, body: '', details: 'missing_host_header' };
  if (request.method === 'CONNECT') return undefined;
  if (request.path === '') return { status: 404, body: '', details: 'missing_path_rejected' };
  if (!request.path.startsWith('/')) return { status: 404, body: '', details: 'absolute_path_rejected' };
  if (!isPlainPath(request.path)) {
    const outcome = normalizeRequestPath(request.path, hcm);
    if (outcome.kind === 'reject') return { status: 400, body: '', details: 'path_normalization_failed' };
    request.path = outcome.path;
    if (outcome.kind === 'redirect') return { status: 307, body: '', details: 'path_normalization_failed', headers: [['location', outcome.path]] };
  }
  if (hcm.stripPort === 'any') request.authority = request.authority.replace(/:\d*$/, '');
  else if (hcm.stripPort === 'matching') request.authority = request.authority.replace(request.scheme === 'https' ? /:443$/ : /:80$/, '');
  return undefined;
}
