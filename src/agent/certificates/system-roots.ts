// The certificate authorities the machine trusts, for TLS to servers outside the mesh.
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';

/** Where distributions keep their bundle. */
const BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem', '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', '/etc/ssl/cert.pem'];

/** PEM of the operating system's bundle, else of Node's own (Mozilla's list). */
export function systemRoots(bundles: readonly string[] = BUNDLES): string {
  for (const path of bundles) {
    try {
      const pem = readFileSync(path, 'utf8');
      if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem;
    } catch {
      // The next distribution's place.
    }
  }
  return rootCertificates.join('\n');
}
