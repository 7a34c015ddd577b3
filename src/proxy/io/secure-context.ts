import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';

/** Keys and roots in PEM; absent ones are not used. */
export interface TlsMaterial {
  readonly certificateChainPem: string | undefined;
  readonly privateKeyPem: string | undefined;
  /** Undefined = the system's roots. */
  readonly trustedCaPem: string | undefined;
  /** Revocation lists; once there is one, every issuer of a chain needs one. Undefined = nothing is revoked. */
  readonly crlPem: string | undefined;
  readonly minVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3' | undefined;
  readonly ciphers: readonly string[];
}

/** What node:tls takes as options for the material. */
export function contextOptions(material: TlsMaterial): { cert?: string; key?: string; ca?: string; crl?: string; minVersion: TlsMaterial['minVersion']; maxVersion?: TlsMaterial['minVersion']; ciphers?: string; sigalgs?: string; ecdhCurve: string } {
  return {
    ...(material.certificateChainPem === undefined ? {} : { cert: material.certificateChainPem }),
    ...(material.privateKeyPem === undefined ? {} : { key: material.privateKeyPem }),
    ...(material.trustedCaPem === undefined ? {} : { ca: material.trustedCaPem }),
    ...(material.crlPem === undefined ? {} : { crl: material.crlPem }),
    minVersion: material.minVersion,
    ...(material.maxVersion === undefined ? {} : { maxVersion: material.maxVersion }),
    ...(material.ciphers.length === 0 ? {} : { ciphers: tls12And13(material.ciphers) }),
    ecdhCurve: 'X25519:P-256:P-384',
  };
}

/** A client context. @throws Error when the material is broken. */
export function clientContext(material: TlsMaterial): SecureContext {
  return createSecureContext(contextOptions(material));
}

/** Cipher lists of xDS name TLS 1.2 suites only; node's option replaces those of 1.3 too, so they are put back. */
function tls12And13(ciphers: readonly string[]): string {
  return ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', ...ciphers].join(':');
}

export type { SecureContext };
