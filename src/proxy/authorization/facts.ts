import type { HttpConnectionInfo } from '../hcm/connection-info.ts';
import type { RequestHead } from '../http/message.ts';
import { parseIp } from '../listener/ip.ts';
import type { DynamicMetadata } from '../filters/dynamic-metadata.ts';

const NOBODY: readonly string[] = [];
const NO_ADDRESS = new Uint8Array(0);

/** What access rules may ask of a connection; the same for all of its requests. */
export interface ConnectionFacts {
  /** The connection is TLS; rules about the peer need it. */
  readonly secure: boolean;
  /** Names of the peer's certificate in the order they count: URI SANs, DNS SANs, subject. Empty without a certificate. */
  readonly peerNames: readonly string[];
  /** Bytes; empty when unknown. */
  readonly directRemoteIp: Uint8Array;
  /** Where the client wanted to go. */
  readonly destinationIp: Uint8Array;
  readonly destinationPort: number;
  readonly serverName: string;
}

/** What access rules may ask of a request, or of a connection when `request` is missing. */
export interface AccessFacts {
  readonly connection: ConnectionFacts;
  readonly request: RequestHead | undefined;
  /** The client: the connection's peer, or what trusted proxies say. */
  readonly remoteIp: string;
  readonly metadata: DynamicMetadata | undefined;
}

const known = new WeakMap<HttpConnectionInfo, ConnectionFacts>();

/** Facts of a connection, found out once. */
export function connectionFacts(info: HttpConnectionInfo): ConnectionFacts {
  let facts = known.get(info);
  if (facts === undefined) known.set(info, (facts = read(info)));
  return facts;
}

function read({ connection, localAddress, serverName }: HttpConnectionInfo): ConnectionFacts {
  const peer = connection.tls?.peer;
  const colon = localAddress.lastIndexOf(':');
  return {
    secure: connection.tls !== undefined,
    peerNames: peer === undefined ? NOBODY : [...peer.uriSans, ...peer.dnsSans, ...(peer.subject === '' ? [] : [peer.subject])],
    directRemoteIp: ipBytes(connection.remoteAddress),
    destinationIp: ipBytes(localAddress.slice(0, colon).replace(/^\[|\]$/g, '')),
    destinationPort: Number(localAddress.slice(colon + 1)),
    serverName,
  };
}

/** Bytes of an address; IPv4 inside IPv6 is IPv4. Empty when the text is none. */
export function ipBytes(text: string): Uint8Array {
  return parseIp(text.startsWith('::ffff:') && text.includes('.') ? text.slice(7) : text) ?? NO_ADDRESS;
}
