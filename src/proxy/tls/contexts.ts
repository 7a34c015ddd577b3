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
  readonly crl: TlsSecret | undefined;
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
    const crl = tls.crlSecret === undefined ? undefined : this.secrets.get(tls.crlSecret);
    if ((tls.certificateSecret !== undefined && certificate === undefined) || (tls.validationSecret !== undefined && validation === undefined) || (tls.crlSecret !== undefined && crl === undefined)) return undefined;
    const key = `${tls.certificateSecret ?? ''}|${tls.validationSecret ?? ''}|${tls.crlSecret ?? ''}|${tls.minVersion}`;
    const known = this.upstreams.get(key);
    if (known !== undefined && known.certificate === certificate && known.validation === validation && known.crl === crl) return known.value;
    try {
      const value = { secureContext: clientContext(materialOf(certificate, validation, crl, { minVersion: tls.minVersion, maxVersion: undefined, ciphers: [] })), localUriSan: uriSanOf(certificate), sessions: new Map<string, ResumableSession>() };
      this.upstreams.set(key, { certificate, validation, crl, value });
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
    const crl = tls.crlSecret === undefined ? undefined : this.secrets.get(tls.crlSecret);
    if (certificate === undefined || (tls.validationSecret !== undefined && validation === undefined) || (tls.crlSecret !== undefined && crl === undefined)) return undefined;
    const known = this.downstreams.get(tls);
    if (known !== undefined && known.certificate === certificate && known.validation === validation && known.crl === crl) return known.value;
    try {
      const options = contextOptions(materialOf(certificate, validation, crl, tls));
      const verified = tls.validationSecret !== undefined;
      const acceptor = known?.value.acceptor ?? new TlsAcceptor({
        ...options,
        alpn: tls.alpn,
        requestClientCertificate: verified || tls.requireClientCertificate,
        requireClientCertificate: verified && tls.requireClientCertificate,
        verifyClientCertificate: verified,
      });
      if (known !== undefined) acceptor.setSecureContext(options);
      const value = { acceptor, localUriSan: uriSanOf(certificate) };
      this.downstreams.set(tls, { certificate, validation, crl, value });
      return value;
    } catch (thrown) {
      log.warn('cannot use the secrets of a listener', { certificate: name, validation: tls.validationSecret, error: messageOf(thrown) });
      return undefined;
    }
  }
}

function materialOf(certificate: TlsSecret | undefined, validation: TlsSecret | undefined, crl: TlsSecret | undefined, versions: Pick<TlsMaterial, 'minVersion' | 'maxVersion' | 'ciphers'>): TlsMaterial {
  return {
    certificateChainPem: certificate?.kind === 'certificate' ? certificate.certificateChainPem : undefined,
    privateKeyPem: certificate?.kind === 'certificate' ? certificate.privateKeyPem : undefined,
    trustedCaPem: validation?.kind === 'validation' ? validation.trustedCaPem : undefined,
    crlPem: listsOf(validation, crl),
    minVersion: versions.minVersion,
    maxVersion: versions.maxVersion,
    ciphers: versions.ciphers,
  };
}

/** The lists of both sources; undefined when there are none. */
function listsOf(...sources: readonly (TlsSecret | undefined)[]): string | undefined {
  const lists = sources.flatMap((secret) => (secret?.kind === 'validation' && secret.crlPem ? [secret.crlPem] : []));
  return lists.length === 0 ? undefined : lists.join('\n');
}

/** The URI SAN of our own certificate, '' when there is none. */
function uriSanOf(secret: TlsSecret | undefined): string {
  if (secret?.kind !== 'certificate') return '';
  const names = splitNames(new X509Certificate(secret.certificateChainPem).subjectAltName ?? '');
  return names.find((name) => name.startsWith('URI:'))?.slice(4) ?? '';
}
