import { constants } from 'node:http2';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { FieldHeaders } from '../http/field-headers.ts';
import type { HeaderMap } from '../http/message.ts';
import type { ResetReason } from '../http/stream.ts';

/** Header fields of a block without its pseudo fields. Cookie crumbs are joined as RFC 9113 section 8.2.3 asks. */
export function fieldsOf(block: IncomingHttpHeaders): FieldHeaders {
  const fields: string[] = [];
  for (const name of Object.keys(block)) {
    if (name.startsWith(':')) continue;
    const value = block[name];
    if (Array.isArray(value)) for (const one of value) fields.push(name, one);
    else if (value !== undefined) fields.push(name, value);
  }
  return new FieldHeaders(fields);
}

/** Headers that HTTP/2 forbids. @see RFC 9113 section 8.2.2 */
const FORBIDDEN: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'host']);

/** A block for node:http2. `single`: only the first value of each name, for names that node refuses to repeat. */
export function blockOf(headers: HeaderMap | undefined, pseudo: OutgoingHttpHeaders, single = false): OutgoingHttpHeaders {
  const block = Object.assign(Object.create(null), pseudo) as OutgoingHttpHeaders;
  if (headers === undefined) return block;
  for (const [name, value] of headers.entries()) {
    if (FORBIDDEN.has(name) || (name === 'te' && value !== 'trailers')) continue;
    const before = block[name];
    if (before === undefined) block[name] = value;
    else if (!single) block[name] = Array.isArray(before) ? [...before, value] : [String(before), value];
  }
  return block;
}

/** Envoy's word for an RST_STREAM code. */
export function resetReasonOf(code: number): ResetReason {
  if (code === constants.NGHTTP2_REFUSED_STREAM) return 'remote refused stream reset';
  if (code === constants.NGHTTP2_PROTOCOL_ERROR) return 'protocol error';
  return 'remote reset';
}
