import { X509Certificate } from 'node:crypto';
import { createServer, connect } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { CertificateAuthority, createSelfSignedCa } from './ca.ts';
import { buildRevocationList } from './revocation-list.ts';

const nowMs = Date.now();
const ca = createSelfSignedCa({ organization: 'test', nowMs });
const authority = new CertificateAuthority(ca, nowMs);
const issue = () => authority.issueServerCertificate({ dnsNames: ['a.example'], ttlMs: 3_600_000, nowMs });

/** What a client that has the list says of a server. */
async function verdict(revoked: readonly string[], server: ReturnType<typeof issue>): Promise<string> {
  const crl = buildRevocationList({ caCertPem: ca.caCertPem, caKeyPem: ca.caKeyPem, revoked, nowMs, ttlMs: 3_600_000 });
  const listener = createServer({ cert: server.certificateChainPem, key: server.privateKeyPem });
  await new Promise<void>((resolve) => void listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const outcome = await new Promise<string>((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'a.example', ca: ca.caCertPem, crl }, () => (socket.destroy(), resolve('good')));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  listener.close();
  return outcome;
}

describe('a revocation list', () => {
  it('is believed by TLS', async () => {
    const [one, other] = [issue(), issue()];
    expect(new X509Certificate(one.certificateChainPem).serialNumber).not.toBe(new X509Certificate(other.certificateChainPem).serialNumber);
    expect(await verdict([], one)).toBe('good');
    expect(await verdict([other.certificateChainPem], one)).toBe('good');
    expect(await verdict([one.certificateChainPem, other.certificateChainPem], one)).toBe('CERT_REVOKED');
  });
});
