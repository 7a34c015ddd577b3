/** The two requests about service account tokens. Neither is stored. */
import type { SpecObject } from '../meta.ts';
import { TOKEN_REVIEW } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { bool, int64, list, map, obj, req, str, time, type Infer } from '../schema/dsl.ts';

const requestSpec = obj({
  audiences: list(str(), { atomic: true }),
  expirationSeconds: int64({ default: 3600 }),
  boundObjectRef: obj({ kind: str(), apiVersion: str(), name: str(), uid: str() }),
});
const requestStatus = obj({ token: req(str()), expirationTimestamp: time() });
/** Asks for a token: POST to `serviceaccounts/<name>/token`. @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/ */
export type TokenRequest = SpecObject<Infer<typeof requestSpec>, Infer<typeof requestStatus>>;
/** Schema of {@link TokenRequest}, which is served as a subresource only. */
export const tokenRequestSchema = obj({ spec: requestSpec, status: requestStatus });

const reviewSpec = obj({ token: str(), audiences: list(str(), { atomic: true }) });
const reviewStatus = obj({
  authenticated: bool(),
  user: obj({ username: str(), uid: str(), groups: list(str(), { atomic: true }), extra: map(list(str(), { atomic: true })) }),
  audiences: list(str(), { atomic: true }),
  error: str(),
});
/** Asks whose token it is. @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/ */
export type TokenReview = SpecObject<Infer<typeof reviewSpec>, Infer<typeof reviewStatus>>;
export const TOKEN_REVIEW_KIND = defineKind(TOKEN_REVIEW, { fields: { spec: reviewSpec, status: reviewStatus }, required: ['spec'] });
