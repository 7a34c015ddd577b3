import { TOKEN } from '../http/h1-syntax.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** A request line that is longer is not waited for. */
const MAX_LINE_BYTES = 65_536;
/** Longer method names are not HTTP in practice; without a bound any letters would be waited for. */
const MAX_METHOD_BYTES = 32;

/** The protocol that the first bytes of a plaintext connection speak, in ALPN's words; `none` = not HTTP. @see Envoy http_inspector */
export function inspectHttp(bytes: Buffer): 'http/1.0' | 'http/1.1' | 'h2c' | 'partial' | 'none' {
  const compared = Math.min(bytes.length, PREFACE.length);
  if (compared > 0 && bytes.compare(PREFACE, 0, compared, 0, compared) === 0) return compared === PREFACE.length ? 'h2c' : 'partial';
  let at = 0;
  // An empty line before the request is tolerated.
  while (at + 1 < bytes.length && bytes[at] === 13 && bytes[at + 1] === 10) at += 2;
  const start = at;
  while (at < bytes.length && TOKEN[bytes[at]!] === 1) at++;
  if (at - start > MAX_METHOD_BYTES) return 'none';
  if (at === bytes.length) return 'partial';
  if (bytes[at] !== 32 || at === start) return 'none';
  at++;
  while (at < bytes.length && bytes[at]! > 32 && bytes[at] !== 127) at++;
  if (at === bytes.length) return at > MAX_LINE_BYTES ? 'none' : 'partial';
  if (bytes[at] !== 32) return 'none';
  const version = bytes.toString('latin1', at + 1, at + 9);
  if (!'HTTP/1.'.startsWith(version.slice(0, 7))) return 'none';
  if (version.length < 8) return 'partial';
  if (version === 'HTTP/1.1') return 'http/1.1';
  return version === 'HTTP/1.0' ? 'http/1.0' : 'none';
}
