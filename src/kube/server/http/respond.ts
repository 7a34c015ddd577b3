import type { ServerResponse } from 'node:http';
import { gzip } from 'node:zlib';
import { messageOf } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import type { KubeObject } from '../../../objects/meta.ts';
import { ApiError } from '../../client/client.ts';
import type { Resource } from '../api/resources.ts';
import type { Listed } from '../rest/read.ts';
import { asVersion, prepareVersions } from '../rest/versions.ts';
import { internal, statusOf } from '../status.ts';
import { encode, encodedOf } from '../store/encoded.ts';
import { partialMetadata, toTable } from '../table/table.ts';
import type { Shape } from './media-type.ts';

/** The JSON of an object in a version. A stored object is encoded once, however many watches and lists send it. */
export function jsonOf(object: KubeObject, resource: Resource): Buffer {
  if (object.apiVersion === resource.apiVersion) return encodedOf(object);
  const shown = asVersion(object, resource);
  return resource.converter ? encodedOf(shown) : encode(shown);
}

export function sendText(response: ServerResponse, code: number, text: string, contentType = 'application/json'): void {
  sendBytes(response, code, Buffer.from(text), contentType);
}

/** Sends a body, compressed when it is long and the client asks. */
export function sendBytes(response: ServerResponse, code: number, body: Buffer, contentType: string): void {
  if (response.headersSent || response.destroyed) return;
  if (body.length >= MIN_GZIP_BYTES && response.req.method === 'GET' && acceptsGzip(response.req.headers['accept-encoding'])) {
    sendGzip(response, code, body, contentType);
    return;
  }
  response.writeHead(code, { 'content-type': contentType, 'content-length': body.length, 'cache-control': 'no-cache, private' });
  response.end(body);
}

/** Smaller answers are not worth it. */
const MIN_GZIP_BYTES = 128 * 1024;

function acceptsGzip(header: string | string[] | undefined): boolean {
  return String(header ?? '').split(',').some((part) => /^\s*(gzip|\*)\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(part));
}

/** Compresses on another thread, fast rather than small. */
function sendGzip(response: ServerResponse, code: number, body: Buffer, contentType: string): void {
  gzip(body, { level: 1 }, (error, packed) => {
    if (response.headersSent || response.destroyed) return;
    const sent = error ? body : packed;
    response.writeHead(code, { 'content-type': contentType, 'content-length': sent.length, 'cache-control': 'no-cache, private', vary: 'accept-encoding', ...(error ? {} : { 'content-encoding': 'gzip' }) });
    response.end(sent);
  });
}

export function sendJson(response: ServerResponse, code: number, value: unknown): void {
  sendText(response, code, `${JSON.stringify(value)}\n`);
}

/** Sends a refusal as its Status; anything else that was thrown is our bug and becomes a 500. */
export function sendError(response: ServerResponse, thrown: unknown, log: Logger): void {
  const error = thrown instanceof ApiError ? thrown : internal(messageOf(thrown));
  if (!(thrown instanceof ApiError)) log.error('request failed', { error: thrown instanceof Error ? thrown.stack : String(thrown) });
  sendJson(response, error.code, statusOf(error));
}

/** Sends one object in the asked shape and the resource's version. @throws ApiError when it cannot be converted */
export async function sendObject(response: ServerResponse, code: number, resource: Resource, object: KubeObject, shape: Shape, nowMs: number): Promise<void> {
  if (resource.converter) await prepareVersions([object], resource);
  const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' };
  if (shape.as === 'table') sendJson(response, code, toTable(resource, [asVersion(object, resource)], metadata, shape.include, nowMs));
  else if (shape.as === 'metadata') sendJson(response, code, partialMetadata(object));
  else sendBytes(response, code, Buffer.concat([jsonOf(object, resource), NEWLINE]), 'application/json');
}

/** Sends a list in the asked shape and the resource's version. @throws ApiError when it cannot be converted */
export async function sendList(response: ServerResponse, resource: Resource, listed: Listed, shape: Shape, nowMs: number): Promise<void> {
  if (resource.converter) await prepareVersions(listed.items, resource);
  const metadata = {
    resourceVersion: listed.resourceVersion,
    ...(listed.continue ? { continue: listed.continue } : {}),
    ...(listed.remainingItemCount ? { remainingItemCount: listed.remainingItemCount } : {}),
  };
  if (shape.as === 'table') {
    sendJson(response, 200, toTable(resource, listed.items.map((item) => asVersion(item, resource)), metadata, shape.include, nowMs));
    return;
  }
  const partial = shape.as === 'metadata';
  const kind = partial ? 'PartialObjectMetadataList' : resource.listKind;
  const parts: Buffer[] = [Buffer.from(`{"kind":"${kind}","apiVersion":"${partial ? 'meta.k8s.io/v1' : resource.apiVersion}","metadata":${JSON.stringify(metadata)},"items":[`)];
  listed.items.forEach((item, index) => {
    if (index > 0) parts.push(COMMA);
    parts.push(partial ? encode(partialMetadata(item)) : jsonOf(item, resource));
  });
  parts.push(LIST_END);
  sendBytes(response, 200, Buffer.concat(parts), 'application/json');
}

const COMMA = Buffer.from(',');
const NEWLINE = Buffer.from('\n');
const LIST_END = Buffer.from(']}\n');
