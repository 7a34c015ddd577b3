import type { TLSSocket } from 'node:tls';
import type { PeerCertificate, TlsFacts } from './connection.ts';

/** What a finished handshake tells. `resumedPeer`: whom the session was opened with, which a client is not told again when it resumes one. */
export function factsOf(socket: TLSSocket, serverName: string, localUriSan: string, resumedPeer?: PeerCertificate): TlsFacts {
  let peer: PeerCertificate | undefined | null = resumedPeer ?? null;
  return {
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : '',
    serverName,
    version: socket.getProtocol() ?? '',
    get peer() {
      if (peer === null) peer = readPeer(socket);
      return peer;
    },
    localUriSan,
  };
}

function readPeer(socket: TLSSocket): PeerCertificate | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const names = splitNames(certificate.subjectAltName ?? '');
  return {
    uriSans: names.filter((name) => name.startsWith('URI:')).map((name) => name.slice(4)),
    dnsSans: names.filter((name) => name.startsWith('DNS:')).map((name) => name.slice(4)),
    // OpenSSL prints one attribute a line in encoding order; RFC 2253 is the reverse, comma-separated.
    subject: (certificate.subject ?? '').split('\n').filter((line) => line !== '').reverse().join(','),
    sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    pem: () => certificate.toString(),
  };
}

/** Splits Node's `DNS:a, URI:b` text. Names with unusual characters come quoted as JSON strings, which keeps a forged ", URI:" inside a name. */
export function splitNames(subjectAltName: string): string[] {
  const names: string[] = [];
  const pattern = /\s*([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)/gy;
  for (let match = pattern.exec(subjectAltName); match !== null && match[0] !== ''; match = pattern.exec(subjectAltName)) {
    const text = match[2]!;
    names.push(`${match[1]}:${text.startsWith('"') ? (JSON.parse(text) as string) : text}`);
  }
  return names;
}
