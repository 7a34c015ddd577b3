import { create } from '@bufbuild/protobuf';
import { TransportSocketSchema, type TransportSocket } from '../xds/gen/envoy/config/core/v3/base_pb.ts';
import { RawBufferSchema } from '../xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.ts';
import { CommonTlsContextSchema, DownstreamTlsContextSchema, UpstreamTlsContextSchema, type CommonTlsContext } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts';
import { CertificateValidationContextSchema, TlsParameters_TlsProtocol, type CertificateValidationContext } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts';
import { SdsSecretConfigSchema, type SdsSecretConfig } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import type { ClientTls } from '../model/destination-rule.ts';
import type { ServerTls } from '../model/gateway.ts';
import type { MeshSettings } from '../model/mesh.ts';
import { ROOT_SECRET, WORKLOAD_SECRET } from './names.ts';
import { adsSource, pack, sdsSource } from './proto.ts';

/** ALPNs by which a server chain knows Istio's mutual TLS. @see features.md §3.3 */
export const MTLS_TCP_ALPNS = ['istio-peer-exchange', 'istio'] as const;
export const MTLS_HTTP_ALPNS = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'] as const;
/** Order matters only for readers. */
export const ALL_MTLS_ALPNS = ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2'] as const;
const PLAINTEXT_HTTP_ALPNS = ['http/1.1', 'h2c'] as const;

/** What the HTTP inspector calls the plaintext that a proxy takes as HTTP. */
export function plaintextHttpAlpns(headers: { readonly acceptHttp10: boolean }): readonly string[] {
  return headers.acceptHttp10 ? ['http/1.0', ...PLAINTEXT_HTTP_ALPNS] : PLAINTEXT_HTTP_ALPNS;
}

export function rawBuffer(): TransportSocket {
  return create(TransportSocketSchema, { name: 'envoy.transport_sockets.raw_buffer', configType: { case: 'typedConfig', value: pack(RawBufferSchema) } });
}

function sdsSecret(name: string, source: 'agent' | 'control-plane' = 'agent'): SdsSecretConfig {
  return create(SdsSecretConfigSchema, { name, sdsConfig: source === 'agent' ? sdsSource() : adsSource() });
}

/** Secrets named in Istio's objects by file: `file-cert:<cert>~<key>` and `file-root:<ca>`. */
function fileSecret(name: string): SdsSecretConfig {
  return sdsSecret(name);
}

function exactSans(names: readonly string[]): CertificateValidationContext['matchSubjectAltNames'] {
  return create(CertificateValidationContextSchema, { matchSubjectAltNames: names.map((name) => ({ matchPattern: { case: 'exact' as const, value: name } })) }).matchSubjectAltNames;
}

/** What the certificate itself must be, beside whose names it carries. */
function validation(tls: Pick<ServerTls, 'subjectAltNames' | 'caCrl' | 'verifyCertificateSpki' | 'verifyCertificateHash'>): CertificateValidationContext {
  return create(CertificateValidationContextSchema, {
    matchSubjectAltNames: exactSans(tls.subjectAltNames), verifyCertificateSpki: [...tls.verifyCertificateSpki], verifyCertificateHash: [...tls.verifyCertificateHash],
    ...(tls.caCrl && { crl: { specifier: { case: 'filename' as const, value: tls.caCrl } } }),
  });
}

function combined(secret: SdsSecretConfig, context: CertificateValidationContext): CommonTlsContext['validationContextType'] {
  return create(CommonTlsContextSchema, {
    validationContextType: { case: 'combinedValidationContext', value: { defaultValidationContext: context, validationContextSdsSecretConfig: secret } },
  }).validationContextType;
}

/** What kind of traffic a cluster carries, for its ALPNs. */
export type UpstreamProtocol = 'http1' | 'http2' | 'tcp' | 'auto';

/**
 * The ALPNs of mutual TLS to another sidecar. With istio.alpn in the proxy the filter says per request what is spoken, and the context holds what TCP
 * needs. Without it the context must say it: HTTP/1.1 and HTTP/2 clusters offer Istio's HTTP names so that the server's HTTP chains match, TCP offers
 * `istio`; where the protocol is sniffed the server treats the connection as TCP, which is right for any bytes.
 */
export function mutualAlpns(protocol: UpstreamProtocol, istioFilters: boolean): readonly string[] {
  if (istioFilters) return protocol === 'http2' ? ['istio-peer-exchange', 'istio', 'h2'] : ['istio-peer-exchange', 'istio'];
  if (protocol === 'http2') return ['istio-h2', 'istio', 'h2'];
  return protocol === 'http1' ? ['istio-http/1.1', 'istio', 'http/1.1'] : ['istio'];
}

/** Mutual TLS with mesh identities. `sans` empty = any identity of the trusted roots. */
export function mutualUpstreamTls(options: { readonly sni: string; readonly sans: readonly string[]; readonly alpns: readonly string[] }): TransportSocket {
  const common = create(CommonTlsContextSchema, {
    tlsParams: { tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2, tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3 },
    alpnProtocols: [...options.alpns],
    tlsCertificateSdsSecretConfigs: [sdsSecret(WORKLOAD_SECRET)],
    validationContextType: combined(sdsSecret(ROOT_SECRET), create(CertificateValidationContextSchema, { matchSubjectAltNames: exactSans(options.sans) })),
  });
  return create(TransportSocketSchema, { name: 'envoy.transport_sockets.tls', configType: { case: 'typedConfig', value: pack(UpstreamTlsContextSchema, { commonTlsContext: common, sni: options.sni }) } });
}

/** Credential name that means the workload's own certificate. */
const WORKLOAD_CREDENTIAL = 'builtin://';

/** The SDS name of a credential: a secret's name, or a resource name as Gateway API's references give it. */
function resourceNameOf(credential: string): string {
  return credential.includes('://') ? credential : `kubernetes://${credential}`;
}

/** TLS as a DestinationRule asks for (SIMPLE, MUTUAL). Undefined for DISABLE. ISTIO_MUTUAL is {@link mutualUpstreamTls}. */
export function upstreamTls(tls: ClientTls, protocol: UpstreamProtocol): TransportSocket | undefined {
  if (tls.mode === 'DISABLE') return undefined;
  const context = validation({ ...tls, verifyCertificateSpki: [], verifyCertificateHash: [] });
  const common = create(CommonTlsContextSchema, {
    tlsParams: { tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2, tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3 },
    alpnProtocols: protocol === 'http2' ? ['h2'] : [],
  });
  if (tls.credentialName) {
    const name = resourceNameOf(tls.credentialName);
    if (tls.mode === 'MUTUAL') common.tlsCertificateSdsSecretConfigs = [sdsSecret(name, 'control-plane')];
    if (!tls.insecureSkipVerify) common.validationContextType = combined(sdsSecret(`${name}-cacert`, 'control-plane'), context);
  } else {
    if (tls.mode === 'MUTUAL') common.tlsCertificateSdsSecretConfigs = [fileSecret(`file-cert:${tls.clientCertificate}~${tls.privateKey}`)];
    if (tls.insecureSkipVerify) common.validationContextType = { case: undefined };
    else if (tls.caCertificates && tls.caCertificates !== 'system') common.validationContextType = combined(fileSecret(`file-root:${tls.caCertificates}`), context);
    // No CA named: the operating system's roots judge the server, as since Istio 1.18.
    else common.validationContextType = combined(fileSecret('file-root:system'), context);
  }
  return create(TransportSocketSchema, { name: 'envoy.transport_sockets.tls', configType: { case: 'typedConfig', value: pack(UpstreamTlsContextSchema, { commonTlsContext: common, sni: tls.sni }) } });
}

/** The server side of the mesh's mutual TLS: a client certificate of one of the trust domains is required. */
export function mutualDownstreamTls(mesh: MeshSettings, protocol: 'http' | 'tcp'): TransportSocket {
  const domains = [...new Set([mesh.trustDomain, ...mesh.trustDomainAliases])];
  const context = create(CertificateValidationContextSchema, { matchSubjectAltNames: domains.map((domain) => ({ matchPattern: { case: 'prefix' as const, value: `spiffe://${domain}/` } })) });
  const common = create(CommonTlsContextSchema, {
    tlsParams: {
      tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2, tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
      cipherSuites: ['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'AES128-GCM-SHA256'],
    },
    alpnProtocols: protocol === 'http' ? ['h2', 'http/1.1'] : ['istio-peer-exchange', 'h2', 'http/1.1'],
    tlsCertificateSdsSecretConfigs: [sdsSecret(WORKLOAD_SECRET)],
    validationContextType: combined(sdsSecret(ROOT_SECRET), context),
  });
  return downstream(common, true);
}

function downstream(common: CommonTlsContext, requireClientCertificate: boolean): TransportSocket {
  return create(TransportSocketSchema, { name: 'envoy.transport_sockets.tls', configType: { case: 'typedConfig', value: pack(DownstreamTlsContextSchema, { commonTlsContext: common, requireClientCertificate }) } });
}

const VERSION: Readonly<Record<NonNullable<ServerTls['minProtocolVersion']>, TlsParameters_TlsProtocol>> = {
  TLSV1_0: TlsParameters_TlsProtocol.TLSv1_0, TLSV1_1: TlsParameters_TlsProtocol.TLSv1_1, TLSV1_2: TlsParameters_TlsProtocol.TLSv1_2, TLSV1_3: TlsParameters_TlsProtocol.TLSv1_3,
};

/** The TLS a Gateway server (or a Sidecar ingress listener) terminates. */
export function serverTls(mesh: MeshSettings, tls: ServerTls, protocol: 'http' | 'tcp'): TransportSocket {
  if (tls.mode === 'ISTIO_MUTUAL') return mutualDownstreamTls(mesh, protocol);
  const mutual = tls.mode === 'MUTUAL' || tls.mode === 'OPTIONAL_MUTUAL';
  const context = validation(tls);
  const common = create(CommonTlsContextSchema, {
    tlsParams: {
      tlsMinimumProtocolVersion: VERSION[tls.minProtocolVersion ?? 'TLSV1_2'],
      ...(tls.maxProtocolVersion && { tlsMaximumProtocolVersion: VERSION[tls.maxProtocolVersion] }), cipherSuites: [...tls.cipherSuites],
    },
    alpnProtocols: protocol === 'http' ? ['h2', 'http/1.1'] : [],
  });
  if (tls.credentialNames.length > 0) {
    common.tlsCertificateSdsSecretConfigs = tls.credentialNames.map((name) => (name === WORKLOAD_CREDENTIAL ? sdsSecret(WORKLOAD_SECRET) : sdsSecret(resourceNameOf(name), 'control-plane')));
    if (mutual) common.validationContextType = combined(sdsSecret(`${resourceNameOf(tls.caCertCredentialName ?? tls.credentialNames[0]!)}-cacert`, 'control-plane'), context);
  } else {
    common.tlsCertificateSdsSecretConfigs = [fileSecret(`file-cert:${tls.serverCertificate}~${tls.privateKey}`)];
    if (mutual) common.validationContextType = combined(fileSecret(`file-root:${tls.caCertificates}`), context);
  }
  return downstream(common, tls.mode === 'MUTUAL');
}
