/** Asks the API server whose token this is. */
import type { KubeClient } from '../../kube/client/client.ts';

interface TokenReview {
  readonly status?: { readonly authenticated?: boolean; readonly audiences?: readonly string[]; readonly user?: { readonly username?: string } };
}

/** The user name of a token made for one of the audiences (`istio-ca`, in every mesh pod at `/var/run/secrets/tokens/istio-token`); undefined when the API server does not vouch for it. Rejects when it cannot be asked. */
export async function reviewToken(client: KubeClient, token: string, audiences: readonly string[]): Promise<string | undefined> {
  const { status } = await client.post<TokenReview>('/apis/authentication.k8s.io/v1/tokenreviews', { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', metadata: {}, spec: { token, audiences } });
  // A server that ignores audiences vouches for its own only. @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
  if (!status?.authenticated || !status.audiences?.some((audience) => audiences.includes(audience))) return undefined;
  return status.user?.username;
}
