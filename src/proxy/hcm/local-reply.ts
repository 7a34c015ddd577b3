import type { LocalReply } from '../filters/http-filter.ts';
import { FieldHeaders } from '../http/field-headers.ts';
import type { RequestHead, ResponseHead } from '../http/message.ts';

/** HTTP status → gRPC status of replies the proxy makes itself; anything else is UNKNOWN. @see Envoy Grpc::Utility::httpToGrpcStatus */
const GRPC_STATUS: ReadonlyMap<number, number> = new Map([
  [400, 13], [401, 16], [403, 7], [404, 12], [429, 14], [502, 14], [503, 14], [504, 14],
]);

/** The gRPC status that says what an HTTP status says. */
export function grpcStatusOf(httpStatus: number): number {
  return GRPC_STATUS.get(httpStatus) ?? 2;
}

/** The one place where the proxy's own answers become a response: a head and its body. gRPC callers get a trailers-only response. */
export function localResponse(reply: LocalReply, request: RequestHead): { readonly head: ResponseHead; readonly body: Buffer | undefined } {
  const headers = new FieldHeaders();
  if (isGrpc(request)) {
    headers.append('content-type', 'application/grpc');
    headers.append('grpc-status', String(reply.grpcStatus ?? grpcStatusOf(reply.status)));
    if (reply.body !== '') headers.append('grpc-message', percentEncode(Buffer.from(reply.body)));
    for (const [name, value] of reply.headers ?? []) headers.append(name, value);
    return { head: { status: 200, headers }, body: undefined };
  }
  for (const [name, value] of reply.headers ?? []) headers.append(name, value);
  const body = reply.body === '' ? undefined : Buffer.from(reply.body);
  if (body !== undefined) {
    headers.set('content-length', String(body.length));
    if (!headers.has('content-type')) headers.append('content-type', 'text/plain');
  }
  return { head: { status: reply.status, headers }, body: request.method === 'HEAD' ? undefined : body };
}

/** True for gRPC requests: `application/grpc` or `application/grpc+…`. */
export function isGrpc(request: RequestHead): boolean {
  const type = request.headers.get('content-type');
  return type !== undefined && type.startsWith('application/grpc') && (type.length === 16 || type.charCodeAt(16) === 43);
}

/** A text as `grpc-message` carries it. @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses (Percent-Encoded) */
export function percentEncode(text: Uint8Array): string {
  let out = '';
  for (const byte of text) out += byte >= 32 && byte <= 126 && byte !== 37 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return out;
}
