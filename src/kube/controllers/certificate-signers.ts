/** The signers of the embedded cluster by name: what they sign, and with what. Pure. */
import { parseCsr, type ParsedCsr } from '../../identity/csr.ts';
import { signRequest } from '../../identity/sign-request.ts';
import type { CertificateSigningRequest } from '../../objects/kubernetes/certificate-signing-request.ts';

const DAY_MS = 24 * 3_600_000;
/** Longest lifetime, and that of requests that ask for none. */
const MAX_TTL_MS = 365 * DAY_MS;

/** An authority, PEM. */
export interface SigningKeys {
  readonly certPem: string;
  readonly keyPem: string;
}

/** The authorities of a cluster. */
export interface ClusterSigners {
  /** The API server's own: what it signs, the API server believes. */
  readonly cluster: SigningKeys;
  /** Signs for workloads of a mesh; nothing in Kubernetes believes it. */
  readonly workload: SigningKeys;
}

/** Signs certificates of workloads for a control plane that asks Kubernetes instead of signing itself. */
export const WORKLOAD_SIGNER = 'meltemi.io/workload';

interface Signer {
  readonly keys: (signers: ClusterSigners) => SigningKeys;
  /** The certificate of the authority comes with the issued one. */
  readonly withChain?: boolean;
  readonly usages: readonly string[];
  readonly neededUsage: readonly string[];
  /** Why the names are not signed, or undefined. */
  readonly refuse: (request: ParsedCsr) => string | undefined;
}

const KEY_USAGES = ['digital signature', 'key encipherment'];

/** Names of kubelets: one organization, `system:nodes`, and a node's user name. */
function refuseUnlessNode(request: ParsedCsr): string | undefined {
  if (request.organizations.length !== 1 || request.organizations[0] !== 'system:nodes' || request.otherSubject) return 'subject organization is not system:nodes';
  return request.commonName?.startsWith('system:node:') ? undefined : 'subject common name does not begin with system:node:';
}

const sansOf = (request: ParsedCsr): number => request.dnsNames.length + request.addresses.length + request.uris.length;

/** @see https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers */
const SIGNERS: Readonly<Record<string, Signer>> = {
  'kubernetes.io/kube-apiserver-client': {
    keys: ({ cluster }) => cluster, usages: [...KEY_USAGES, 'client auth'], neededUsage: ['client auth'],
    refuse: (request) => (request.organizations.includes('system:masters') ? 'system:masters is nobody\'s by certificate' : request.otherNames ? 'the names are of a kind that is not signed' : undefined),
  },
  'kubernetes.io/kube-apiserver-client-kubelet': {
    keys: ({ cluster }) => cluster, usages: [...KEY_USAGES, 'client auth'], neededUsage: ['client auth', 'digital signature'],
    refuse: (request) => refuseUnlessNode(request) ?? (sansOf(request) > 0 || request.otherNames ? 'no subject alternative names are allowed' : undefined),
  },
  'kubernetes.io/kubelet-serving': {
    keys: ({ cluster }) => cluster, usages: [...KEY_USAGES, 'server auth'], neededUsage: ['server auth', 'digital signature'],
    refuse(request) {
      if (request.uris.length > 0 || request.otherNames) return 'only DNS and IP subject alternative names are allowed';
      return refuseUnlessNode(request) ?? (sansOf(request) === 0 ? 'a DNS or IP subject alternative name is required' : undefined);
    },
  },
  [WORKLOAD_SIGNER]: {
    keys: ({ workload }) => workload, withChain: true, usages: [...KEY_USAGES, 'server auth', 'client auth'], neededUsage: [],
    refuse: (request) => (request.uris.length === 1 && request.uris[0]!.startsWith('spiffe://') && request.addresses.length === 0 && !request.otherNames ? undefined : 'exactly one SPIFFE id is required, and DNS names are all that may stand beside it'),
  },
};

/** What came of a request: PEM to store, or why not. Undefined for signers that are somebody else's. */
export type Signature = { readonly certificatePem: string } | { readonly refusal: string };

/** Judges and signs an approved request. */
export function signApproved({ spec }: Pick<CertificateSigningRequest, 'spec'>, signers: ClusterSigners, nowMs: number): Signature | undefined {
  const signer = Object.hasOwn(SIGNERS, spec.signerName) ? SIGNERS[spec.signerName] : undefined;
  if (!signer) return undefined;
  const usages = spec.usages ?? [];
  const foreign = usages.find((usage) => !signer.usages.includes(usage));
  if (foreign !== undefined) return { refusal: `usage ${JSON.stringify(foreign)} is not one of ${signer.usages.join(', ')}` };
  const lacking = signer.neededUsage.find((usage) => !usages.includes(usage));
  if (lacking !== undefined) return { refusal: `usage ${JSON.stringify(lacking)} is required` };
  let request: ParsedCsr;
  try {
    request = parseCsr(Buffer.from(spec.request, 'base64').toString('utf8'));
  } catch (error) {
    return { refusal: (error as Error).message };
  }
  const refusal = signer.refuse(request);
  if (refusal !== undefined) return { refusal };
  const keys = signer.keys(signers);
  const extended = (['server', 'client'] as const).filter((usage) => usages.includes(`${usage} auth`));
  const ttlMs = Math.min(MAX_TTL_MS, (spec.expirationSeconds ?? MAX_TTL_MS / 1000) * 1000);
  return { certificatePem: signRequest(request, { ...keys, usages: extended.length > 0 ? extended : ['server', 'client'], ttlMs, nowMs }) + (signer.withChain ? keys.certPem : '') };
}
