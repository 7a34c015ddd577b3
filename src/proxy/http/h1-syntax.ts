/** 1 for the bytes of a token (RFC 9110 section 5.6.2). */
export const TOKEN = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") TOKEN[char.charCodeAt(0)] = 1;

/** 1 for the bytes of a field value: visible, space, tab and obs-text (RFC 9110 section 5.5). */
export const FIELD_BYTE = new Uint8Array(256).fill(1);
for (let byte = 0; byte < 32; byte++) FIELD_BYTE[byte] = 0;
FIELD_BYTE[9] = 1;
FIELD_BYTE[127] = 0;

export const CR = 13;
export const LF = 10;
export const SPACE = 32;
export const TAB = 9;
export const COLON = 58;

/** True when the bytes are `word` (lower case) in any case. */
export function equalsIgnoringCase(buffer: Buffer, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let index = 0; index < word.length; index++) {
    const byte = buffer[start + index]!;
    if ((byte >= 65 && byte <= 90 ? byte | 32 : byte) !== word.charCodeAt(index)) return false;
  }
  return true;
}

/** A host and port, without user information and whatever would make it something else; '' too. @see RFC 9112 section 3.2, RFC 9113 section 8.3.1 */
export function isAuthority(authority: string): boolean {
  for (let index = 0; index < authority.length; index++) {
    const code = authority.charCodeAt(index);
    // " # / < > ? @ \ ^ ` { | }
    if (code <= 34 || code === 35 || code === 47 || code === 60 || code === 62 || code === 63 || code === 64 || code === 92 || code === 94 || code === 96 || code >= 123) return false;
  }
  return true;
}
