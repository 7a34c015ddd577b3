import { X509Certificate } from 'node:crypto';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { TlsSecret } from '../../xds/secret-source.ts';
import type { UpstreamTls } from '../cluster/cluster.ts';
import type { DownstreamTlsRuntime } from '../config/runtime.ts';
import type { ResumableSession } from '../io/client.ts';
import { clientContext, contextOptions } from '../io/secure-context.ts';
import type { SecureContext, TlsMaterial } from '../io/secure-context.ts';
import { splitNames } from '../io/tls-facts.ts';
import { TlsAcceptor } from '../io/tls-server.ts';
import type { SecretCache } from './secret-cache.ts';

const log = createLogger('tls');

/** A client context with the sessions that were opened with it; both are dropped when a secret rotates. */
export interface UpstreamContext {
  readonly secureContext: SecureContext;
  readonly localUriSan: string;
  /** Resumable sessions by destination. */
  readonly sessions: Map<string, ResumableSession>;
}

export interface DownstreamContext {
  readonly acceptor: TlsAcceptor;
  readonly localUriSan: string;
}

interface Built<T> {
  readonly certificate: TlsSecret | undefined;
  readonly validation: TlsSecret | undefined;
  readonly value: T;
}

/** TLS contexts out of the current secrets. Rotation is seen at the next handshake; open connections keep what they were made with. */
export class TlsContexts {
  private readonly upstreams = new Map<string, Built<UpstreamContext>>();
  private readonly downstreams = new WeakMap<DownstreamTlsRuntime, Built<DownstreamContext>>();

  constructor(private readonly secrets: SecretCache) {}

  /** Undefined while a secret is missing or when it is broken. */
  upstream(tls: UpstreamTls): UpstreamContext | undefined {
    const certificate = tls.certificateSecret === undefined ? undefined : this.secrets.get(tls.certificateSecret);
    const validation = tls.validationSecret === undefined ? undefined : this.secrets.get(tls.validationSecret);
    if ((tls.certificateSecret !== undefined && certificate === undefined) || (tls.validationSecret !== undefined && validation === undefined)) return undefined;
    const key = `${tls.certificateSecret ?? ''}|${tls.validationSecret ?? ''}|${tls.minVersion}`;
    const known = this.upstreams.get(key);
    if (known !== undefined && known.certificate === certificate && known.validation === validation) return known.value;
    try {
      const value = { secureContext: clientContext(materialOf(certificate, validation, { minVersion: tls.minVersion, maxVersion: undefined, ciphers: [] })), localUriSan: uriSanOf(certificate), sessions: new Map<string, ResumableSession>() };
      this.upstreams.set(key, { certificate, validation, value });
      return value;
    } catch (thrown) {
      log.warn('cannot use the secrets of an upstream', { certificate: tls.certificateSecret, validation: tls.validationSecret, error: messageOf(thrown) });
      return undefined;
    }
  }

  /** Undefined while a secret is missing or when it is broken: connections are refused as Envoy does before SDS answered. */
  downstream(tls: DownstreamTlsRuntime): DownstreamContext | undefined {
    const name = tls.certificateSecrets[0];
    const certificate = name === undefined ? undefined : this.secrets.get(name);
    const validation = tls.validationSecret === undefined ? undefined : this.secrets.get(tls.validationSecret);
    if (certificate === undefined || (tls.validationSecret !== undefined && validation === undefined)) return undefined;
    const known = this.downstreams.get(tls);
    if (known !== undefined && known.certificate === certificate && known.validation === validation) return known.value;
    try {
      const options = contextOptions(materialOf(certificate, validation, tls));
      const verified = tls.validationSecret !== undefined;
      const acceptor = known?.value.acceptor ?? new TlsAcceptor({
        ...options,
        alpn: tls.alpn,
        requestClientCertificate: verified || tls.requireClientCertificate,
        requireClientCertificate: verified && tls.requireClientCertificate,
      });
      if (known !== undefined) acceptor.setSecureContext(options);
      const value = { acceptor, localUriSan: uriSanOf(certificate) };
      this.downstreams.set(tls, { certificate, validation, value });
      return value;
    } catch (thrown) {
      log.warn('cannot use the secrets of a listener', { certificate: name, validation: tls.validationSecret, error: messageOf(thrown) });
      return undefined;
    }
  }
}

function materialOf(certificate: TlsSecret | undefined, validation: TlsSecret | undefined, versions: Pick<TlsMaterial, 'minVersion' | 'maxVersion' | 'ciphers'>): TlsMaterial {
  return {
    certificateChainPem: certificate?.kind === 'certificate' ? certificate.certificateChainPem : undefined,
    privateKeyPem: certificate?.kind === 'certificate' ? certificate.privateKeyPem : undefined,
    trustedCaPem: validation?.kind === 'validation' ? validation.trustedCaPem : undefined,
    minVersion: versions.minVersion,
    maxVersion: versions.maxVersion,
    ciphers: versions.ciphers,
  };
}

/** The URI SAN of our own certificate, '' when there is none. */
function uriSanOf(secret: TlsSecret | undefined): string {
  if (secret?.kind !== 'certificate') return '';
  const names = splitNames(new X509Certificate(secret.certificateChainPem).subjectAltName ?? '');
  return names.find((name) => name.startsWith('URI:'))?.slice(4) ?? '';
}
