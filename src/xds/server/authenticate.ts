/** Who calls: proved by a service-account token or by a client certificate of the mesh's own CA. */
import { parseCertificate } from '../../identity/certificate.ts';
import { formatSpiffeId, parseSpiffeId, spiffeIdOfServiceAccountUser, type SpiffeId } from '../../identity/spiffe.ts';
import { verifyChain } from '../../identity/trust-bundle.ts';
import type { NodeInfo } from '../wire.ts';

/** What a connection shows of itself. */
export interface CallerCredentials {
  /** Value of the `authorization` header. */
  readonly authorization: string | undefined;
  /** DER of the TLS client certificate; not yet verified. */
  readonly clientCertificate: Uint8Array | undefined;
}

export interface AuthenticatorOptions {
  readonly trustDomain: () => string;
  /** Other names of the trust domain: their certificates are believed, as those of our own. Default: none. */
  readonly trustDomainAliases?: () => readonly string[];
  /** Roots (and, for plugged-in CAs, the signing certificates) that client certificates must chain to, PEM. */
  readonly trustedRootsPem: () => string;
  /** TokenReview with audience `istio-ca`: the user name, or undefined when the token is not good. Rejects when the API cannot be asked. */
  readonly reviewToken: (token: string) => Promise<string | undefined>;
  readonly now: () => number;
}

/** Either who the caller is, or a sentence why that is not known. */
export type AuthenticationResult = { readonly spiffeId: SpiffeId } | { readonly failure: string };

/** Proves a caller. Never throws. */
export async function authenticate(credentials: CallerCredentials, options: AuthenticatorOptions): Promise<AuthenticationResult> {
  if (credentials.clientCertificate) {
    const spiffeId = identityOfCertificate(credentials.clientCertificate, options);
    if (spiffeId) return { spiffeId };
  }
  const token = /^bearer\s+(\S+)$/i.exec(credentials.authorization ?? '')?.[1];
  if (!token) return { failure: credentials.clientCertificate ? 'the client certificate is not one of this mesh and there is no bearer token' : 'no bearer token and no client certificate' };
  try {
    const user = await options.reviewToken(token);
    if (user === undefined) return { failure: 'the token was refused by the API server (expired, of a deleted pod, or without audience istio-ca)' };
    const spiffeId = spiffeIdOfServiceAccountUser(user, options.trustDomain());
    return spiffeId ? { spiffeId } : { failure: `${user} is not a service account` };
  } catch (error) {
    return { failure: `the token could not be reviewed: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function identityOfCertificate(certificate: Uint8Array, options: AuthenticatorOptions): SpiffeId | undefined {
  try {
    if (!verifyChain(certificate, [], options.trustedRootsPem(), options.now())) return undefined;
    const identity = parseSpiffeId(parseCertificate(certificate).spiffeId ?? '');
    const own = options.trustDomain();
    // Roots may be shared with other meshes: an identity of theirs is none of ours, and gets no certificate of ours.
    if (!identity || (identity.trustDomain !== own && !(options.trustDomainAliases?.() ?? []).includes(identity.trustDomain))) return undefined;
    return formatSpiffeId({ ...identity, trustDomain: own });
  } catch {
    return undefined;
  }
}

/**
 * Checks that a proxy speaks for itself: the namespace in its node id and metadata, and the service account where it names one, are the caller's.
 * Returns why not, or undefined when all is well.
 */
export function nodeMismatch(node: NodeInfo, spiffeId: SpiffeId): string | undefined {
  const identity = parseSpiffeId(spiffeId);
  const podAndNamespace = node.id.split('~')[2] ?? '';
  const claimed = { id: podAndNamespace.slice(podAndNamespace.lastIndexOf('.') + 1), metadata: node.metadata['NAMESPACE'], serviceAccount: node.metadata['SERVICE_ACCOUNT'] };
  if (!identity) return `no identity in ${spiffeId}`;
  if (claimed.id !== identity.namespace) return `node ${node.id} is not in namespace ${identity.namespace} of its identity ${spiffeId}`;
  if (claimed.metadata !== undefined && claimed.metadata !== identity.namespace) return `node metadata names namespace ${String(claimed.metadata)}, the identity is ${spiffeId}`;
  if (claimed.serviceAccount !== undefined && claimed.serviceAccount !== '' && claimed.serviceAccount !== identity.serviceAccount) return `node metadata names service account ${String(claimed.serviceAccount)}, the identity is ${spiffeId}`;
  return undefined;
}
