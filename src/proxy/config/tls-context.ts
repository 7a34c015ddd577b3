/** TLS contexts of xDS as the data path wants them: names of secrets, never key material. */
import type { TransportSocket } from '../../xds/gen/envoy/config/core/v3/base_pb.ts';
import { DownstreamTlsContextSchema, UpstreamTlsContextSchema, type CommonTlsContext } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts';
import { TlsParameters_TlsProtocol as Version, type CertificateValidationContext } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts';
import type { StringMatcher } from '../../xds/gen/envoy/type/matcher/v3/string_pb.ts';
import { unpackAny } from '../../xds/codec.ts';
import type { UpstreamTls } from '../cluster/cluster.ts';
import type { DownstreamTlsRuntime } from './runtime.ts';

/** What upstream HTTP options add to a TLS context. */
export interface AutoSni {
  readonly autoSni: boolean;
  readonly autoSan: boolean;
}

/**
 * The TLS side of a cluster's transport socket; undefined = plaintext. Throws a sentence for sockets that are neither TLS nor raw.
 * @see envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
 */
export function compileUpstreamTls(socket: TransportSocket | undefined, auto: AutoSni): UpstreamTls | undefined {
  if (isPlaintext(socket)) return undefined;
  const context = unpackAny(socket!.configType.value, UpstreamTlsContextSchema);
  if (!context) throw unsupportedSocket(socket!);
  const { commonTlsContext } = context;
  const validation = validationOf(commonTlsContext);
  if (validation.context && validation.context.verifyCertificateHash.length + validation.context.verifyCertificateSpki.length > 0) throw new Error('certificate pins of upstreams are not supported');
  const minimum = commonTlsContext?.tlsParams?.tlsMinimumProtocolVersion ?? Version.TLS_AUTO;
  return {
    certificateSecret: certificateSecrets(commonTlsContext)[0],
    validationSecret: validation.secret,
    crlSecret: crlSecret(validation.context),
    sni: context.sni || undefined,
    ...auto,
    alpn: commonTlsContext?.alpnProtocols ?? [],
    subjectAltNames: validation.subjectAltNames,
    minVersion: minimum === Version.TLSv1_3 ? 'TLSv1.3' : 'TLSv1.2',
    insecure: validation.secret === undefined,
  };
}

/** @see envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext */
export function compileDownstreamTls(socket: TransportSocket | undefined): DownstreamTlsRuntime | undefined {
  if (isPlaintext(socket)) return undefined;
  const context = unpackAny(socket!.configType.value, DownstreamTlsContextSchema);
  if (!context) throw unsupportedSocket(socket!);
  const { commonTlsContext } = context;
  const validation = validationOf(commonTlsContext);
  const secrets = certificateSecrets(commonTlsContext);
  if (secrets.length === 0) throw new Error('no TLS certificates found for server context');
  const parameters = commonTlsContext?.tlsParams;
  return {
    certificateSecrets: secrets,
    validationSecret: validation.secret,
    crlSecret: crlSecret(validation.context),
    requireClientCertificate: context.requireClientCertificate ?? false,
    alpn: commonTlsContext?.alpnProtocols ?? [],
    subjectAltNames: validation.subjectAltNames,
    minVersion: VERSIONS[parameters?.tlsMinimumProtocolVersion ?? Version.TLS_AUTO] ?? 'TLSv1.2',
    maxVersion: VERSIONS[parameters?.tlsMaximumProtocolVersion ?? Version.TLS_AUTO],
    ciphers: parameters?.cipherSuites ?? [],
    pins: { certificates: (validation.context?.verifyCertificateHash ?? []).map((hash) => hash.replaceAll(':', '').toLowerCase()), publicKeys: validation.context?.verifyCertificateSpki ?? [] },
  };
}

const VERSIONS: Readonly<Record<Version, DownstreamTlsRuntime['maxVersion']>> = {
  [Version.TLS_AUTO]: undefined,
  [Version.TLSv1_0]: 'TLSv1',
  [Version.TLSv1_1]: 'TLSv1.1',
  [Version.TLSv1_2]: 'TLSv1.2',
  [Version.TLSv1_3]: 'TLSv1.3',
};

function isPlaintext(socket: TransportSocket | undefined): boolean {
  return socket === undefined || socket.configType.value?.typeUrl.endsWith('.RawBuffer') === true || socket.name === 'envoy.transport_sockets.raw_buffer';
}

function unsupportedSocket(socket: TransportSocket): Error {
  return new Error(`transport socket ${socket.name} (${socket.configType.value?.typeUrl ?? 'no config'}) is not supported`);
}

/** SDS names; a certificate in files gets the name under which the agent's secret source serves files (`file-cert:<crt>~<key>`). */
function certificateSecrets(context: CommonTlsContext | undefined): readonly string[] {
  if (!context) return [];
  const files = context.tlsCertificates.map((certificate) => {
    const chain = certificate.certificateChain?.specifier;
    const key = certificate.privateKey?.specifier;
    if (chain?.case !== 'filename' || key?.case !== 'filename') throw new Error('certificates must come from SDS or from files; inline certificates are not supported');
    return `file-cert:${chain.value}~${key.value}`;
  });
  return [...context.tlsCertificateSdsSecretConfigs.map((config) => config.name), ...files];
}

interface Validation {
  readonly secret: string | undefined;
  readonly subjectAltNames: UpstreamTls['subjectAltNames'];
  readonly context: CertificateValidationContext | undefined;
}

function validationOf(context: CommonTlsContext | undefined): Validation {
  const type = context?.validationContextType;
  if (type?.case === undefined) return { secret: undefined, subjectAltNames: [], context: undefined };
  switch (type.case) {
    case 'validationContextSdsSecretConfig':
      return { secret: type.value.name, subjectAltNames: [], context: undefined };
    case 'validationContext':
      return { secret: trustedCaSecret(type.value), subjectAltNames: subjectAltNames(type.value), context: type.value };
    case 'combinedValidationContext': {
      const { defaultValidationContext: defaults, validationContextSdsSecretConfig: sds } = type.value;
      return { secret: sds?.name ?? trustedCaSecret(defaults), subjectAltNames: subjectAltNames(defaults), context: defaults };
    }
    default:
      throw new Error(`${type.case} is not supported`);
  }
}

function crlSecret(context: CertificateValidationContext | undefined): string | undefined {
  const source = context?.crl?.specifier;
  if (source === undefined || source.case === undefined) return undefined;
  if (source.case !== 'filename') throw new Error('crl must come from SDS or from a file; inline lists are not supported');
  if (context?.onlyVerifyLeafCertCrl) throw new Error('only_verify_leaf_cert_crl is not supported');
  return `file-crl:${source.value}`;
}

function trustedCaSecret(context: CertificateValidationContext | undefined): string | undefined {
  const source = context?.trustedCa?.specifier;
  if (context?.systemRootCerts) return 'file-root:system';
  if (source === undefined || source.case === undefined) return undefined;
  if (source.case !== 'filename') throw new Error('trusted_ca must come from SDS or from a file; inline roots are not supported');
  return `file-root:${source.value}`;
}

function subjectAltNames(context: CertificateValidationContext | undefined): UpstreamTls['subjectAltNames'] {
  if (!context) return [];
  const matchers = [...context.matchSubjectAltNames, ...context.matchTypedSubjectAltNames.flatMap(({ matcher }) => (matcher ? [matcher] : []))];
  return matchers.map(subjectAltName);
}

function subjectAltName({ matchPattern: pattern }: StringMatcher): UpstreamTls['subjectAltNames'][number] {
  if (pattern.case === 'safeRegex') return { kind: 'regex', value: pattern.value.regex };
  if (pattern.case === undefined || pattern.case === 'custom') throw new Error('a subject alt name matcher has no pattern that is supported');
  return { kind: pattern.case, value: pattern.value };
}
