import type { IncomingMessage } from 'node:http';
import { messageOf } from '../../../base/errors.ts';
import { badRequest, tooLarge, unsupportedMediaType } from '../status.ts';
import { decodeProtobuf } from './protobuf.ts';

/** Bytes of a request body. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;
/** Nesting of lists and objects; what walks them is recursive. */
export const MAX_DEPTH = 200;

/** Reads a body. @throws ApiError 413 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Parses JSON, or YAML where the media type says so. An empty body is undefined. @throws ApiError 400, 415 */
export async function parseBody(body: Buffer, mediaType: string): Promise<unknown> {
  if (body.length === 0) return undefined;
  if (mediaType === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(body);
  const yaml = mediaType.includes('yaml');
  if (!yaml && mediaType !== '' && !mediaType.endsWith('json')) {
    throw unsupportedMediaType('the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf');
  }
  const text = body.toString('utf8');
  checkTextDepth(text);
  try {
    return JSON.parse(text);
  } catch (thrown) {
    if (!yaml) throw badRequest(`couldn't get version/kind; json parse error: ${messageOf(thrown)}`);
  }
  try {
    const { parse } = await import('yaml');
    const value: unknown = parse(text, { maxAliasCount: 20, logLevel: 'error' });
    checkDepth(value, 0);
    return value;
  } catch (thrown) {
    throw badRequest(`error decoding YAML: ${messageOf(thrown)}`);
  }
}

/** Refuses deep nesting before it is parsed. */
function checkTextDepth(text: string): void {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === 92) index++;
      else if (code === 34) inString = false;
    } else if (code === 34) inString = true;
    else if (code === 123 || code === 91) {
      if (++depth > MAX_DEPTH) throw badRequest(`the object is nested deeper than ${MAX_DEPTH} levels`);
    } else if (code === 125 || code === 93) depth--;
  }
}

function checkDepth(value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw badRequest(`the object is nested deeper than ${MAX_DEPTH} levels`);
  if (typeof value === 'object' && value !== null) for (const child of Object.values(value)) checkDepth(child, depth + 1);
}
