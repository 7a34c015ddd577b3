/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`: who a workload is. @see https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md */
export type SpiffeId = string & { readonly __brand: 'SpiffeId' };

/** The parts of a Kubernetes workload's SPIFFE id. */
export interface SpiffeParts {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const PATTERN = /^spiffe:\/\/([a-zA-Z0-9._-]+)\/ns\/([a-z0-9]([-a-z0-9.]*[a-z0-9])?)\/sa\/([a-z0-9]([-a-z0-9.]*[a-z0-9])?)$/;

/** The trust domain of a mesh that sets none. */
export const DEFAULT_TRUST_DOMAIN = 'cluster.local';

/** Writes an id. */
export function formatSpiffeId(parts: SpiffeParts): SpiffeId {
  return `spiffe://${parts.trustDomain}/ns/${parts.namespace}/sa/${parts.serviceAccount}` as SpiffeId;
}

/** The parts of an id, or undefined when the text is not one of a Kubernetes workload. */
export function parseSpiffeId(text: string): SpiffeParts | undefined {
  const match = PATTERN.exec(text);
  return match ? { trustDomain: match[1]!, namespace: match[2]!, serviceAccount: match[4]! } : undefined;
}

/** The id of a Kubernetes user name `system:serviceaccount:<ns>:<name>`, or undefined for users that are no service accounts. */
export function spiffeIdOfServiceAccountUser(user: string, trustDomain: string): SpiffeId | undefined {
  const match = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user);
  return match ? formatSpiffeId({ trustDomain, namespace: match[1]!, serviceAccount: match[2]! }) : undefined;
}
