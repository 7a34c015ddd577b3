import { create } from '@bufbuild/protobuf';
import { AttributeContext_RequestSchema, AttributeContextSchema, type AttributeContext, type AttributeContext_Request } from '../../xds/gen/envoy/service/auth/v3/attribute_context_pb.ts';
import type { HttpConnectionInfo } from '../hcm/connection-info.ts';
import type { RequestHead } from '../http/message.ts';

/** What an external authorizer is told of a connection. @see envoy.service.auth.v3.AttributeContext */
export function connectionAttributes(info: HttpConnectionInfo, options: { readonly certificate: boolean; readonly tlsSession: boolean }): AttributeContext {
  const { connection } = info;
  const peer = connection.tls?.peer;
  const principal = peer === undefined ? '' : (peer.uriSans[0] ?? peer.dnsSans[0] ?? peer.subject);
  return create(AttributeContextSchema, {
    source: { ...address(info.remoteAddress), principal, certificate: options.certificate && peer !== undefined ? encodeURIComponent(peer.pem()) : '' },
    destination: { ...address(info.localAddress), principal: connection.tls?.localUriSan ?? '' },
    ...(options.tlsSession && connection.tls !== undefined && { tlsSession: { sni: info.serverName } }),
  });
}

/** The body that goes along; `complete` = nothing was cut off. */
export interface CheckedBody {
  readonly bytes: Buffer;
  readonly complete: boolean;
  readonly asBytes: boolean;
}

/** What it is told of a request. Header lines of one name are joined. */
export function requestAttributes(head: RequestHead, includes: (name: string) => boolean, body: CheckedBody | undefined): AttributeContext_Request {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  const add = (name: string, value: string): void => {
    if (includes(name)) headers[name] = name in headers ? `${headers[name]},${value}` : value;
  };
  for (const [name, value] of [[':authority', head.authority], [':method', head.method], [':path', head.path], [':scheme', head.scheme]] as const) add(name, value);
  for (const [name, value] of head.headers.entries()) add(name, value);
  if (body !== undefined) headers['x-envoy-auth-partial-body'] = String(!body.complete);
  const now = Date.now();
  return create(AttributeContext_RequestSchema, {
    time: { seconds: BigInt(Math.floor(now / 1000)), nanos: (now % 1000) * 1e6 },
    http: {
      id: head.headers.get('x-request-id') ?? '', method: head.method, headers: { ...headers }, path: head.path, host: head.authority, scheme: head.scheme,
      protocol: head.protocol, size: BigInt(Number(head.headers.get('content-length') ?? -1) || 0),
      ...(body !== undefined && (body.asBytes ? { rawBody: body.bytes } : { body: body.bytes.toString('utf8') })),
    },
  });
}

function address(text: string) {
  const colon = text.lastIndexOf(':');
  const value = { address: text.slice(0, colon).replace(/^\[|\]$/g, ''), portSpecifier: { case: 'portValue' as const, value: Number(text.slice(colon + 1)) } };
  return { address: { address: { case: 'socketAddress' as const, value } } };
}
