/** The two ends of a connection as a PROXY header names them. */
export interface ProxiedAddresses {
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

const SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);

/**
 * The header that begins an upstream connection. Without addresses (a connection of our own) it says LOCAL, which version 1 writes as UNKNOWN.
 * @see https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
 */
export function encodeProxyHeader(version: 'V1' | 'V2', addresses: ProxiedAddresses | undefined): Buffer {
  const ipv6 = addresses?.sourceAddress.includes(':') ?? false;
  // Both addresses must be of one family; a mapped pair cannot be told.
  const usable = addresses !== undefined && addresses.destinationAddress.includes(':') === ipv6 ? addresses : undefined;
  if (version === 'V1') {
    if (usable === undefined) return Buffer.from('PROXY UNKNOWN\r\n');
    return Buffer.from(`PROXY ${ipv6 ? 'TCP6' : 'TCP4'} ${usable.sourceAddress} ${usable.destinationAddress} ${usable.sourcePort} ${usable.destinationPort}\r\n`);
  }
  if (usable === undefined) return Buffer.concat([SIGNATURE, Buffer.from([0x20, 0x00, 0x00, 0x00])]);
  const body = Buffer.concat([addressBytes(usable.sourceAddress), addressBytes(usable.destinationAddress), portBytes(usable.sourcePort), portBytes(usable.destinationPort)]);
  return Buffer.concat([SIGNATURE, Buffer.from([0x21, ipv6 ? 0x21 : 0x11]), portBytes(body.length), body]);
}

function portBytes(port: number): Buffer {
  return Buffer.from([port >> 8, port & 255]);
}

function addressBytes(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const first = groups(head);
  const last = groups(tail ?? '');
  const all = [...first, ...Array<number>(tail === undefined ? 0 : 8 - first.length - last.length).fill(0), ...last];
  return Buffer.concat(all.map(portBytes));
}

/** What the first bytes of an accepted connection are: a header with its length, not one at all, a broken one, or not enough yet. */
export type ReadProxyHeader = { readonly kind: 'header'; readonly bytes: number; readonly addresses: ProxiedAddresses | undefined } | { readonly kind: 'none' | 'partial' | 'broken' };

const V1_MAX_BYTES = 107;

/** Reads either version. LOCAL and UNKNOWN give no addresses: the connection's own count. */
export function readProxyHeader(bytes: Buffer): ReadProxyHeader {
  if (bytes.length === 0) return { kind: 'partial' };
  const compared = Math.min(bytes.length, SIGNATURE.length);
  if (bytes.compare(SIGNATURE, 0, compared, 0, compared) === 0) return compared < SIGNATURE.length ? { kind: 'partial' } : readV2(bytes);
  const word = 'PROXY ';
  const start = bytes.toString('latin1', 0, Math.min(bytes.length, word.length));
  if (!word.startsWith(start)) return { kind: 'none' };
  return readV1(bytes);
}

function readV1(bytes: Buffer): ReadProxyHeader {
  const end = bytes.indexOf('\r\n', 0, 'latin1');
  if (end < 0) return { kind: bytes.length >= V1_MAX_BYTES ? 'broken' : 'partial' };
  if (end + 2 > V1_MAX_BYTES) return { kind: 'broken' };
  const [, family, source = '', destination = '', sourcePort = '', destinationPort = '', ...rest] = bytes.toString('latin1', 0, end).split(' ');
  if (family === 'UNKNOWN') return { kind: 'header', bytes: end + 2, addresses: undefined };
  const ip = family === 'TCP4' ? /^\d{1,3}(\.\d{1,3}){3}$/ : family === 'TCP6' ? /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/ : undefined;
  const port = /^\d{1,5}$/;
  if (!ip || rest.length > 0 || !ip.test(source) || !ip.test(destination) || !port.test(sourcePort) || !port.test(destinationPort)) return { kind: 'broken' };
  if (Number(sourcePort) > 65_535 || Number(destinationPort) > 65_535) return { kind: 'broken' };
  return { kind: 'header', bytes: end + 2, addresses: { sourceAddress: source, sourcePort: Number(sourcePort), destinationAddress: destination, destinationPort: Number(destinationPort) } };
}

function readV2(bytes: Buffer): ReadProxyHeader {
  if (bytes.length < 16) return { kind: 'partial' };
  const command = bytes[12]! & 15;
  const length = bytes.readUInt16BE(14);
  if (bytes[12]! >> 4 !== 2 || command > 1) return { kind: 'broken' };
  if (bytes.length < 16 + length) return { kind: 'partial' };
  const all = 16 + length;
  const family = bytes[13]! >> 4;
  const addressLength = family === 1 ? 4 : family === 2 ? 16 : 0;
  if (command === 0 || addressLength === 0) return { kind: 'header', bytes: all, addresses: undefined };
  if (length < 2 * addressLength + 4) return { kind: 'broken' };
  const at = (offset: number): string => addressText(bytes.subarray(16 + offset, 16 + offset + addressLength));
  const ports = 16 + 2 * addressLength;
  if (!tlvsFit(bytes, ports + 4, all)) return { kind: 'broken' };
  return { kind: 'header', bytes: all, addresses: { sourceAddress: at(0), destinationAddress: at(addressLength), sourcePort: bytes.readUInt16BE(ports), destinationPort: bytes.readUInt16BE(ports + 2) } };
}

/** What follows the addresses (TLVs) is read over, but must be whole: who writes it wrong may mean something else by the rest, too. */
function tlvsFit(bytes: Buffer, from: number, end: number): boolean {
  let at = from;
  while (at + 3 <= end) at += 3 + bytes.readUInt16BE(at + 1);
  return at === end;
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return groups.join(':').replace(/(?:^|:)0(?::0)+(?::|$)/, '::');
}

/** The client and what it connected to, as a connection from it tells; `localAddress` is `ip:port` of the original destination. */
export function proxiedAddresses(info: { readonly remoteAddress: string; readonly localAddress: string }): ProxiedAddresses {
  const [sourceAddress, sourcePort] = splitAddress(info.remoteAddress);
  const [destinationAddress, destinationPort] = splitAddress(info.localAddress);
  return { sourceAddress, sourcePort, destinationAddress, destinationPort };
}

function splitAddress(text: string): [address: string, port: number] {
  const colon = text.lastIndexOf(':');
  return [text.slice(0, colon).replace(/^\[|\]$/g, ''), Number(text.slice(colon + 1))];
}
