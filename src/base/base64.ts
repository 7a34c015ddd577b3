const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The bytes of base64 text (standard or URL alphabet, padding and white space optional), or undefined when it is none. For rooms without Node's Buffer. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const clean = text.replace(/\s+/g, '').replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/');
  if (clean.length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((clean.length * 3) / 4));
  let bits = 0;
  let count = 0;
  let at = 0;
  for (const letter of clean) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) return undefined;
    bits = ((bits << 6) | value) & 0xffffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes[at++] = (bits >> count) & 0xff;
    }
  }
  return bytes;
}

/** Bytes as UTF-8 text; undefined when they are none. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  let encoded = '';
  for (const byte of bytes) encoded += `%${byte.toString(16).padStart(2, '0')}`;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

/** Text as UTF-8 bytes. */
export function utf8Bytes(text: string): Uint8Array {
  const bytes: number[] = [];
  const encoded = encodeURIComponent(text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd'));
  for (let index = 0; index < encoded.length; index++) {
    if (encoded[index] !== '%') bytes.push(encoded.charCodeAt(index));
    else {
      bytes.push(Number.parseInt(encoded.slice(index + 1, index + 3), 16));
      index += 2;
    }
  }
  return Uint8Array.from(bytes);
}

/** Base64 text → UTF-8 text; undefined when either step fails. */
export function decodeBase64Text(text: string): string | undefined {
  const bytes = decodeBase64(text);
  return bytes && utf8Text(bytes);
}
