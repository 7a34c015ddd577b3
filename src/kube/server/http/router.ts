/** From a request to its answer: authentication, then discovery, health or a resource. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { apiGroupList, apiGroupOf, apiResourceList, groupDiscoveryList } from '../api/discovery.ts';
import { openApiDocument, openApiIndex } from '../api/openapi.ts';
import { openApiV2 } from '../api/openapi-v2.ts';
import { ISSUER } from '../auth/tokens.ts';
import { impersonate } from '../auth/impersonation.ts';
import { API_AUDIENCES, userOfCertificate, userOfToken, type UserInfo } from '../auth/user.ts';
import { ApiError } from '../../client/client.ts';
import { methodNotAllowed, pathNotFound, unauthorized } from '../status.ts';
import { parseMediaTypes } from './media-type.ts';
import { parseResourcePath, segmentsOf } from './request-info.ts';
import { handleResource, type Handlers } from './resource-handler.ts';
import { sendBytes, sendError, sendJson, sendText } from './respond.ts';

/** Paths that need no credentials. */
const PUBLIC = new Set(['/healthz', '/livez', '/readyz', '/version']);

/** The Kubernetes version whose API this is. kubectl compares it with its own. */
export const VERSION = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.4+meltemi',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: 'node',
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};

/** Answers a request; never rejects. */
export async function handleRequest(handlers: Handlers, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    await route(handlers, request, response);
  } catch (thrown) {
    if (response.headersSent) response.destroy();
    else sendError(response, thrown, handlers.env.log);
  }
}

async function route(handlers: Handlers, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [pathname = '/', search = ''] = splitOnce(request.url ?? '/', '?');
  const query = new URLSearchParams(search);
  if (PUBLIC.has(pathname.length > 1 ? pathname.replace(/\/+$/, '') : pathname)) {
    if (pathname.startsWith('/version')) sendJson(response, 200, VERSION);
    else sendText(response, 200, query.has('verbose') ? `[+]ping ok\n[+]store ok\n${pathname.replace(/^\/+|\/+$/g, '')} check passed\n` : 'ok', 'text/plain; charset=utf-8');
    return;
  }
  const user = impersonate(request, authenticate(handlers, request), handlers.env.authorizer);
  const segments = segmentsOf(pathname);
  if (!segments) throw pathNotFound();
  const resourcePath = parseResourcePath(segments);
  if (resourcePath) {
    await handleResource(handlers, request, response, query, user, resourcePath);
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
  const decision = handlers.env.authorizer.path(user, { verb: 'get', path: pathname });
  if (!decision.allowed) throw new ApiError(403, 'Forbidden', `forbidden: User "${user.username}" cannot get path "${pathname}"${decision.reason && `: ${decision.reason}`}`, {});
  if (!serveMetadata(handlers, segments, request, response)) throw pathNotFound();
}

function splitOnce(text: string, separator: string): string[] {
  const index = text.indexOf(separator);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}

/** Who asks: by bearer token or client certificate. @throws ApiError 401 */
export function authenticate({ tokens, env }: Handlers, request: IncomingMessage): UserInfo {
  const { authorization } = request.headers;
  const bearer = /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1];
  if (bearer !== undefined) {
    const found = userOfToken(bearer, tokens, env.store, API_AUDIENCES, env.now());
    if (typeof found === 'string') throw unauthorized();
    return found.user;
  }
  const user = userOfCertificate(request.socket as TLSSocket);
  if (!user) throw unauthorized();
  return user;
}

/** Discovery, OpenAPI and the issuer's keys; false for a path that is none of them. */
function serveMetadata({ env, tokens }: Handlers, segments: readonly string[], request: IncomingMessage, response: ServerResponse): boolean {
  const { resources } = env;
  const [root, first, second, third] = segments;
  const send = (value: unknown): boolean => {
    if (value === undefined) return false;
    sendJson(response, 200, value);
    return true;
  };
  switch (root) {
    case undefined: return send({ paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'] });
    case 'api':
      if (first === undefined) return sendAggregated(request, response, (version) => groupDiscoveryList(resources, true, version)) || send({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] });
      return second === undefined && first === 'v1' ? send(apiResourceList(resources, '', 'v1')) : false;
    case 'apis':
      if (first === undefined) return sendAggregated(request, response, (version) => groupDiscoveryList(resources, false, version)) || send(apiGroupList(resources));
      if (second === undefined) return send(apiGroupOf(resources, first));
      return third === undefined ? send(apiResourceList(resources, first, second)) : false;
    case 'openapi': return serveOpenApi(segments.slice(1), request, response, resources);
    case '.well-known':
      return first === 'openid-configuration' && send({ issuer: ISSUER, jwks_uri: `${ISSUER}/openid/v1/jwks`, response_types_supported: ['id_token'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'] });
    case 'openid': return first === 'v1' && second === 'jwks' && send(tokens.jwks());
    default: return false;
  }
}

function sendAggregated(request: IncomingMessage, response: ServerResponse, build: (version: 'v2' | 'v2beta1') => unknown): boolean {
  for (const { type, parameters } of parseMediaTypes(request.headers.accept ?? '')) {
    const version = parameters.get('v');
    if (type !== 'application/json' || parameters.get('as') !== 'APIGroupDiscoveryList' || (version !== 'v2' && version !== 'v2beta1')) continue;
    sendText(response, 200, JSON.stringify(build(version)), `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`);
    return true;
  }
  return false;
}

function serveOpenApi(segments: readonly string[], request: IncomingMessage, response: ServerResponse, resources: Handlers['env']['resources']): boolean {
  const [version, kind, group, groupVersion] = segments;
  if (version === 'v2' && kind === undefined) {
    const accept = request.headers.accept ?? '';
    // kubectl 1.20 asks with an `@`, which is no media type, and looks for the answer without one.
    const protobuf = accept.includes('proto-openapi.spec.v2');
    const { body, etag } = openApiV2(resources, protobuf ? 'protobuf' : 'json');
    response.setHeader('etag', etag);
    response.setHeader('vary', 'accept, accept-encoding');
    if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
    else sendBytes(response, 200, body, protobuf ? 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf' : 'application/json');
    return true;
  }
  if (version !== 'v3') return false;
  if (kind === undefined) {
    sendJson(response, 200, openApiIndex(resources));
    return true;
  }
  const document = kind === 'api' ? openApiDocument(resources, '', group ?? '') : kind === 'apis' ? openApiDocument(resources, group ?? '', groupVersion ?? '') : undefined;
  if (document) sendJson(response, 200, document);
  return document !== undefined;
}
