/** The small part of DER that certificates and certificate requests need: a writer of values and a strict reader. */

/** ASN.1 tags in use. @see ITU-T X.690 */
export const TAG = { boolean: 0x01, integer: 0x02, bitString: 0x03, octetString: 0x04, null: 0x05, oid: 0x06, utf8String: 0x0c, printableString: 0x13, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30, set: 0x31 } as const;

/** Context-specific constructed tag `[n]`. */
export const contextTag = (n: number): number => 0xa0 | n;

/** Tag, length, content. */
export function tlv(tag: number, ...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const significant = length.subarray(length.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.from([tag, 0x80 | significant.length]), significant, body]);
}

export const sequence = (...content: Uint8Array[]): Buffer => tlv(TAG.sequence, ...content);
export const octetString = (content: Uint8Array): Buffer => tlv(TAG.octetString, content);
export const utf8String = (text: string): Buffer => tlv(TAG.utf8String, Buffer.from(text, 'utf8'));
export const boolean = (value: boolean): Buffer => tlv(TAG.boolean, Buffer.from([value ? 0xff : 0]));

/** A bit string whose last `unusedBits` bits do not count. */
export const bitString = (content: Uint8Array, unusedBits = 0): Buffer => tlv(TAG.bitString, Buffer.from([unusedBits]), content);

/** A non-negative integer from big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const trimmed = bytes.subarray(start);
  return tlv(TAG.integer, Buffer.from((trimmed[0] ?? 0) & 0x80 ? [0] : []), trimmed.length ? trimmed : Buffer.from([0]));
}

/** An object identifier from its dotted text. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const septets = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) septets.unshift((left & 0x7f) | 0x80);
    bytes.push(...septets);
  }
  return tlv(TAG.oid, Buffer.from(bytes));
}

/** A time as X.509 wants it: UTCTime until 2049, GeneralizedTime after. @see RFC 5280 §4.1.2.5 */
export function time(epochMs: number): Buffer {
  const text = new Date(epochMs).toISOString().replace(/[-:T]/g, '').replace(/\.\d+/, '');
  return Number(text.slice(0, 4)) < 2050 ? tlv(TAG.utcTime, Buffer.from(text.slice(2))) : tlv(TAG.generalizedTime, Buffer.from(text));
}

/** One value read from DER. */
export interface DerNode {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag, length and content as they stood in the input. */
  readonly raw: Buffer;
}

/** Reads one value at the start of `bytes`. Throws on truncated or non-minimal lengths. */
export function readNode(bytes: Buffer, offset = 0): DerNode {
  const tag = bytes[offset];
  const first = bytes[offset + 1];
  if (tag === undefined || first === undefined) throw new Error('DER: truncated value');
  let start = offset + 2;
  let length = first;
  if (first & 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4 || start + count > bytes.length) throw new Error('DER: bad length');
    length = bytes.readUIntBE(start, count);
    start += count;
    if (length < 0x80) throw new Error('DER: length is not minimal');
  }
  if (start + length > bytes.length) throw new Error('DER: truncated value');
  return { tag, content: bytes.subarray(start, start + length), raw: bytes.subarray(offset, start + length) };
}

/** The values inside a constructed value, in order. Throws like {@link readNode}. */
export function children(node: Pick<DerNode, 'content'>): DerNode[] {
  const found: DerNode[] = [];
  for (let offset = 0; offset < node.content.length; ) {
    const child = readNode(node.content, offset);
    found.push(child);
    offset += child.raw.length;
  }
  return found;
}

/** Dotted text of an object identifier's content. */
export function oidText(content: Uint8Array): string {
  const arcs: number[] = [];
  let value = 0;
  for (const byte of content) {
    value = value * 128 + (byte & 0x7f);
    if (byte & 0x80) continue;
    if (arcs.length === 0) arcs.push(Math.min(2, Math.floor(value / 40)), value - 40 * Math.min(2, Math.floor(value / 40)));
    else arcs.push(value);
    value = 0;
  }
  return arcs.join('.');
}

/** PEM text of DER bytes with a label (`CERTIFICATE`). */
export function toPem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der).toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** DER bytes of every PEM block with this label, in order. */
export function fromPem(label: string, pem: string): Buffer[] {
  const block = new RegExp(`-----BEGIN ${label}-----\\s+([A-Za-z0-9+/=\\s]+?)-----END ${label}-----`, 'g');
  return [...pem.matchAll(block)].map((match) => Buffer.from(match[1]!, 'base64'));
}
