/** What a ClientHello asks for. */
export interface ClientHello {
  /** Lower case, '' when absent. */
  readonly serverName: string;
  readonly alpn: readonly string[];
}

/** Larger hellos are taken for an attack. @see Envoy tls_inspector max_client_hello_size */
const MAX_BYTES = 65_536;

/**
 * Reads a ClientHello from the first bytes of a connection. `partial`: more bytes are needed; `none`: this is not TLS.
 * @see RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 7301
 */
export function parseClientHello(bytes: Buffer): ClientHello | 'partial' | 'none' {
  if (bytes.length === 0) return 'partial';
  if (bytes[0] !== 0x16) return 'none';
  if (bytes.length >= 2 && bytes[1] !== 3) return 'none';
  const handshake = joinRecords(bytes);
  if (handshake === 'none') return 'none';
  if (handshake.length < 4) return partial(bytes);
  if (handshake[0] !== 1) return 'none';
  const length = handshake.readUIntBE(1, 3);
  if (length > MAX_BYTES) return 'none';
  if (handshake.length < 4 + length) return partial(bytes);
  return parseBody(handshake.subarray(4, 4 + length)) ?? 'none';
}

function partial(bytes: Buffer): 'partial' | 'none' {
  return bytes.length > MAX_BYTES ? 'none' : 'partial';
}

/** The handshake bytes of the records so far. */
function joinRecords(bytes: Buffer): Buffer | 'none' {
  const parts: Buffer[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    if (bytes[at] !== 0x16 || bytes[at + 1] !== 3) return parts.length === 0 ? 'none' : Buffer.concat(parts);
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > 16_640) return 'none';
    parts.push(bytes.subarray(at + 5, Math.min(at + 5 + length, bytes.length)));
    at += 5 + length;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** Undefined: malformed. */
function parseBody(body: Buffer): ClientHello | undefined {
  const reader = new Reader(body);
  reader.skip(2 + 32);
  reader.skip(reader.number(1));
  reader.skip(reader.number(2));
  reader.skip(reader.number(1));
  let serverName = '';
  const alpn: string[] = [];
  const extensions = reader.bytes(reader.number(2));
  if (reader.failed) return undefined;
  const list = new Reader(extensions);
  while (!list.atEnd && !list.failed) {
    const type = list.number(2);
    const content = new Reader(list.bytes(list.number(2)));
    if (type === 0) {
      content.skip(2);
      if (content.number(1) === 0) serverName = content.bytes(content.number(2)).toString('latin1').toLowerCase();
    } else if (type === 16) {
      content.skip(2);
      while (!content.atEnd && !content.failed) alpn.push(content.bytes(content.number(1)).toString('latin1'));
    }
    if (content.failed) return undefined;
  }
  return list.failed ? undefined : { serverName, alpn };
}

/** Reads big-endian numbers and byte strings; beyond the end it fails once and for all. */
class Reader {
  failed = false;
  private at = 0;

  constructor(private readonly source: Buffer) {}

  get atEnd(): boolean {
    return this.at >= this.source.length;
  }

  number(size: 1 | 2): number {
    if (this.at + size > this.source.length) {
      this.failed = true;
      return 0;
    }
    const value = this.source.readUIntBE(this.at, size);
    this.at += size;
    return value;
  }

  bytes(length: number): Buffer {
    if (this.at + length > this.source.length) {
      this.failed = true;
      return this.source.subarray(0, 0);
    }
    this.at += length;
    return this.source.subarray(this.at - length, this.at);
  }

  skip(length: number): void {
    this.bytes(length);
  }
}
