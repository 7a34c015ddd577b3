/** Asks the API server whose token this is. */
import type { KubeClient } from '../../kube/client/client.ts';

/** Audience of the token in every mesh pod (`/var/run/secrets/tokens/istio-token`). */
const AUDIENCE = 'istio-ca';

interface TokenReview {
  readonly status?: { readonly authenticated?: boolean; readonly audiences?: readonly string[]; readonly user?: { readonly username?: string } };
}

/** The user name of a token made for us; undefined when the API server does not vouch for it. Rejects when it cannot be asked. */
export async function reviewToken(client: KubeClient, token: string): Promise<string | undefined> {
  const { status } = await client.post<TokenReview>('/apis/authentication.k8s.io/v1/tokenreviews', { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', metadata: {}, spec: { token, audiences: [AUDIENCE] } });
  // A server that ignores audiences vouches for its own only. @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
  if (!status?.authenticated || !status.audiences?.includes(AUDIENCE)) return undefined;
  return status.user?.username;
}
