import type { Protocol } from './protocol.ts';

export interface ServerTls {
  readonly httpsRedirect: boolean;
  readonly mode: 'PASSTHROUGH' | 'SIMPLE' | 'MUTUAL' | 'AUTO_PASSTHROUGH' | 'ISTIO_MUTUAL' | 'OPTIONAL_MUTUAL';
  readonly serverCertificate: string;
  readonly privateKey: string;
  readonly caCertificates: string;
  /** Secrets of the gateway's namespace, or resource names (`kubernetes-gateway://ns/name`). */
  readonly credentialNames: readonly string[];
  /** Resource name of what client certificates are checked with; undefined: the CA of the first credential. */
  readonly caCertCredentialName?: string | undefined;
  readonly subjectAltNames: readonly string[];
  readonly minProtocolVersion: 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3' | undefined;
  readonly maxProtocolVersion: 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3' | undefined;
  readonly cipherSuites: readonly string[];
  /** File with revoked certificates; '' = none. */
  readonly caCrl: string;
  /** Base64 SHA-256 of accepted public keys; hexadecimal SHA-256 of accepted certificates. */
  readonly verifyCertificateSpki: readonly string[];
  readonly verifyCertificateHash: readonly string[];
}

export interface Server {
  readonly port: { readonly number: number; readonly protocol: Protocol; readonly name: string };
  /** '' = all addresses. */
  readonly bind: string;
  /** Host with the namespace that VirtualServices must come from (`*` = any). */
  readonly hosts: readonly { readonly namespace: string; readonly host: string }[];
  readonly tls: ServerTls | undefined;
}

export interface Gateway {
  readonly kind: 'gateway';
  readonly name: string;
  readonly namespace: string;
  readonly selector: Readonly<Record<string, string>>;
  /** Host names of the Services that lead to it, when the object names them (Gateway API, Ingress); else the selector decides. */
  readonly services: readonly string[];
  readonly servers: readonly Server[];
  /** Made from a Gateway (Gateway API) or an Ingress: its credentials of other namespaces have been granted. */
  readonly generated?: boolean;
  readonly createdMs: number;
  readonly origin: string;
  readonly digest: string;
}
