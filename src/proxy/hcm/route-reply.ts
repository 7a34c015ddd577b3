/** Answers that the route table itself gives, in Envoy's words. */
import type { RequestHead } from '../http/message.ts';
import type { RouteAction } from '../route/route-table.ts';
import type { LocalReply } from '../filters/http-filter.ts';

/** To the same address over TLS, where the virtual host asks for that. Filters have run before. */
export function tlsRedirectReply(request: RequestHead): LocalReply {
  return { status: 301, body: '', details: 'direct_response', headers: [['location', `https://${request.authority}${request.path}`]] };
}

/** A direct response. Where the status has a Location (201 and 3xx) Envoy names the request's own address. @see Envoy Router::Filter::decodeHeaders */
export function directReply({ status, body }: Extract<RouteAction, { kind: 'direct' }>, request: RequestHead): LocalReply {
  const reply = { status, body, details: 'direct_response' };
  const moved = status === 201 || (status >= 300 && status < 400);
  return moved ? { ...reply, headers: [['location', `${request.scheme}://${request.authority}${request.path}`]] } : reply;
}
