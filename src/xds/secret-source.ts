/** A TLS secret as SDS delivers it; PEM text. */
export type TlsSecret =
  | { readonly name: string; readonly kind: 'certificate'; readonly certificateChainPem: string; readonly privateKeyPem: string }
  | { readonly name: string; readonly kind: 'validation'; readonly trustedCaPem: string; /** Revocation lists; absent or '': nothing is revoked. */ readonly crlPem?: string };

/**
 * Where a proxy gets its secrets: the agent's workload certificate (`default`), the mesh roots (`ROOTCA`), files (`file-cert:…`), or the control plane
 * (`kubernetes://…`). The agent serves the same source to Envoy as SDS over a Unix socket.
 */
export interface SecretSource {
  /** Calls back as soon as the secret is known and on every rotation. Returns how to stop. */
  watch(name: string, onSecret: (secret: TlsSecret) => void): () => void;
}
