import { createHash, X509Certificate } from 'node:crypto';
import type { DownstreamTlsRuntime } from '../config/runtime.ts';
import type { PeerCertificate } from '../io/connection.ts';

/** True when a certificate is one of those pinned, by its own hash or its public key's; without pins any is. @see envoy CertificateValidationContext.verify_certificate_spki */
export function isPinned(pins: DownstreamTlsRuntime['pins'], peer: Pick<PeerCertificate, 'sha256' | 'pem'>): boolean {
  const { certificates, publicKeys } = pins;
  if (certificates.length === 0 && publicKeys.length === 0) return true;
  if (certificates.includes(peer.sha256)) return true;
  if (publicKeys.length === 0) return false;
  const key = new X509Certificate(peer.pem()).publicKey.export({ type: 'spki', format: 'der' });
  return publicKeys.includes(createHash('sha256').update(key).digest('base64'));
}
