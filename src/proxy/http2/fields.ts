import { FieldHeaders } from '../http/field-headers.ts';
import type { HeaderMap, RequestHead } from '../http/message.ts';
import { isAuthority, TOKEN } from '../http/h1-syntax.ts';
import type { FieldBlock } from './hpack-decoder.ts';
import type { TrailingFields } from './stream.ts';

const COLON = 58;
/** Headers of one connection, which HTTP/2 forbids. @see RFC 9113 section 8.2.2 */
const CONNECTION_HEADERS: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);
/** What must not go out: what is forbidden, what :authority says, and what only an upgrade from HTTP/1 says. */
const NOT_SENT: ReadonlySet<string> = new Set([...CONNECTION_HEADERS, 'http2-settings', 'host']);
const TO_CHECK: ReadonlySet<string> = new Set([...CONNECTION_HEADERS, 'te', 'content-length', 'cookie', 'host']);

const NO_FIELDS: TrailingFields = { fields: [], neverIndexed: undefined };

/** A head out of a block, with what its content-length says (-1: nothing). */
export interface ParsedRequest {
  readonly head: RequestHead;
  readonly contentLength: number;
  /** Protocol of an extended CONNECT, lower case; its head is that of an HTTP/1 upgrade. */
  readonly upgrade: string | undefined;
}

export interface ParsedResponse {
  readonly status: number;
  readonly headers: FieldHeaders;
  readonly contentLength: number;
}

interface Regular {
  readonly headers: FieldHeaders;
  readonly contentLength: number;
}

/** The request in a header block; undefined when it is malformed. `extended`: `:protocol` may be there. @see RFC 9113 section 8.3.1, RFC 8441 section 4 */
export function parseRequest(block: FieldBlock, secure: boolean, extended = false): ParsedRequest | undefined {
  const { fields } = block;
  if (block.malformed) return undefined;
  let method: string | undefined;
  let path: string | undefined;
  let scheme: string | undefined;
  let authority: string | undefined;
  let protocol: string | undefined;
  let at = 0;
  for (; at < fields.length && fields[at]!.charCodeAt(0) === COLON; at += 2) {
    const value = fields[at + 1]!;
    switch (fields[at]) {
      case ':method': if (method !== undefined) return undefined; method = value; break;
      case ':path': if (path !== undefined) return undefined; path = value; break;
      case ':scheme': if (scheme !== undefined) return undefined; scheme = value; break;
      case ':authority': if (authority !== undefined) return undefined; authority = value; break;
      case ':protocol': if (protocol !== undefined || !extended || !isToken(value)) return undefined; protocol = value.toLowerCase(); break;
      default: return undefined;
    }
  }
  if (method === undefined || !isToken(method)) return undefined;
  if (protocol !== undefined && method !== 'CONNECT') return undefined;
  if (method === 'CONNECT' && protocol === undefined) {
    if (path !== undefined || scheme !== undefined || authority === undefined || authority === '') return undefined;
  } else if (scheme === undefined || scheme === '' || path === undefined || !isTarget(path)) return undefined;
  const regular = regularFields(block, at, true);
  if (regular === undefined) return undefined;
  const { headers, contentLength } = regular;
  const hosts = headers.getAll('host');
  if (hosts.length > 1 || (authority !== undefined && hosts.length === 1 && hosts[0]!.toLowerCase() !== authority.toLowerCase())) return undefined;
  const target = authority ?? hosts[0] ?? '';
  if (!isAuthority(target)) return undefined;
  if (hosts.length > 0) headers.remove('host');
  // The rest of the proxy, its logs and HTTP/1 servers see an upgrade, as in Envoy (transformUpgradeRequestFromH2toH1).
  if (protocol !== undefined) headers.set('upgrade', protocol);
  return { head: { method: protocol === undefined ? method : 'GET', path: path ?? '', authority: target, scheme: secure || scheme === 'https' ? 'https' : 'http', protocol: 'HTTP/2', headers }, contentLength, upgrade: protocol };
}

/** The response in a header block, informational ones too; undefined when it is malformed. @see RFC 9113 section 8.3.2 */
export function parseResponse(block: FieldBlock): ParsedResponse | undefined {
  const { fields } = block;
  if (block.malformed || fields[0] !== ':status' || !/^[1-5]\d\d$/.test(fields[1]!)) return undefined;
  const regular = regularFields(block, 2, false);
  return regular === undefined ? undefined : { status: Number(fields[1]), ...regular };
}

/** The trailers in a block; undefined when they are malformed. @see RFC 9113 section 8.1 */
export function parseTrailers(block: FieldBlock): FieldHeaders | undefined {
  if (block.malformed || block.tooLarge) return undefined;
  return regularFields(block, 0, false)?.headers;
}

function regularFields(block: FieldBlock, from: number, request: boolean): Regular | undefined {
  const { fields } = block;
  let contentLength = -1;
  let cookie = -1;
  let crumbs = 0;
  for (let at = from; at < fields.length; at += 2) {
    const name = fields[at]!;
    if (name.charCodeAt(0) === COLON) return undefined;
    if (!TO_CHECK.has(name)) continue;
    const value = fields[at + 1]!;
    if (name === 'te') {
      if (value !== 'trailers') return undefined;
    } else if (name === 'content-length') {
      if (!/^\d{1,15}$/.test(value) || (contentLength >= 0 && contentLength !== Number(value))) return undefined;
      contentLength = Number(value);
    } else if (name === 'cookie') {
      if (cookie < 0) cookie = at;
      crumbs++;
    } else if (name !== 'host') return undefined;
  }
  const headers = new FieldHeaders(from === 0 ? fields : fields.slice(from));
  if (block.neverIndexed !== undefined) headers.neverIndexed = block.neverIndexed;
  // @see RFC 9113 section 8.2.3
  if (request && crumbs > 1) headers.set('cookie', headers.getAll('cookie').join('; '));
  if (contentLength >= 0 && headers.getAll('content-length').length > 1) headers.set('content-length', String(contentLength));
  return { headers, contentLength };
}

function isToken(text: string): boolean {
  if (text === '') return false;
  for (let index = 0; index < text.length; index++) if (TOKEN[text.charCodeAt(index)] !== 1) return false;
  return true;
}

/** No byte that would end the target on an HTTP/1 request line. */
function isTarget(path: string): boolean {
  if (path === '') return false;
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code <= 32 || code === 127) return false;
  }
  return true;
}

/** Fields as they go out: pseudo fields first, without what belongs to an HTTP/1 connection. */
export function outgoingFields(pseudo: string[], headers: HeaderMap): TrailingFields {
  if (headers instanceof FieldHeaders) {
    const { flat } = headers;
    for (let at = 0; at < flat.length; at += 2) appendField(pseudo, flat[at]!, flat[at + 1]!);
    return { fields: pseudo, neverIndexed: headers.neverIndexed };
  }
  for (const [name, value] of headers.entries()) appendField(pseudo, name, value);
  return { fields: pseudo, neverIndexed: undefined };
}

function appendField(fields: string[], name: string, value: string): void {
  if (NOT_SENT.has(name) || (name === 'te' && value !== 'trailers')) return;
  fields.push(name, value);
}

/** Trailers as they go out. */
export function outgoingTrailers(trailers: HeaderMap | undefined): TrailingFields {
  return trailers === undefined ? NO_FIELDS : outgoingFields([], trailers);
}

/** Bytes of fields, about as they would be in HTTP/1. */
export function wireSize(fields: readonly string[]): number {
  let bytes = 0;
  for (let at = 0; at < fields.length; at += 2) bytes += fields[at]!.length + fields[at + 1]!.length + 4;
  return bytes;
}
