/** TokenRequest and TokenReview. */
import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { storageKey } from '../api/storage-key.ts';
import { API_AUDIENCES, userOfToken } from '../auth/user.ts';
import { MIN_TOKEN_SECONDS, type TokenAuthority, type TokenSubject } from '../auth/tokens.ts';
import { isObject, listAt, numberAt, own, textAt } from '../json.ts';
import { badRequest, conflict, invalid, invalidValue, notFound } from '../status.ts';
import { timestamp, type Environment } from './context.ts';
import { getObject } from './read.ts';

const KIND = { group: 'authentication.k8s.io', kind: 'TokenRequest' };

/** Issues a token for a service account. @throws ApiError 400, 404, 409, 422 */
export function requestToken(env: Environment, tokens: TokenAuthority, accounts: Resource, namespace: string, name: string, body: unknown): KubeObject {
  const account = getObject(env, accounts, namespace, name);
  const spec = own(body, 'spec');
  if (!isObject(body)) throw badRequest('the body must be a TokenRequest');
  const seconds = numberAt(spec, 'expirationSeconds') ?? 3600;
  if (seconds < MIN_TOKEN_SECONDS) throw invalid(KIND, '', [invalidValue('spec.expirationSeconds', seconds, 'may not specify a duration less than 10 minutes')]);
  const asked = listAt(spec, 'audiences').filter((one): one is string => typeof one === 'string' && one !== '');
  const audiences = asked.length > 0 ? asked : API_AUDIENCES;
  const reference = own(spec, 'boundObjectRef');
  const bound = isObject(reference) ? boundObject(env, reference, namespace, name) : undefined;
  const subject: TokenSubject = { namespace, serviceAccount: { name, uid: account.metadata.uid! }, ...(bound ? { bound } : {}) };
  const { token, expiresAt } = tokens.issue(subject, { audiences, expirationSeconds: seconds, nowMs: env.now() });
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name, namespace, creationTimestamp: timestamp(env.now()) },
    spec: { audiences, expirationSeconds: seconds, boundObjectRef: reference ?? null },
    status: { token, expirationTimestamp: timestamp(expiresAt * 1000) },
  } as unknown as KubeObject;
}

function boundObject(env: Environment, reference: Record<string, unknown>, namespace: string, account: string): NonNullable<TokenSubject['bound']> {
  const kind = textAt(reference, 'kind');
  const name = textAt(reference, 'name');
  if (kind !== 'Pod' && kind !== 'Secret' && kind !== 'Node') throw badRequest(`cannot bind token for serviceaccount "${account}" to type ${textAt(reference, 'apiVersion')}/${kind}`);
  const resource = { group: '', plural: `${kind.toLowerCase()}s` };
  const object = env.store.get(storageKey(resource, name, kind === 'Node' ? undefined : namespace))?.object;
  if (!object) throw notFound(resource, name);
  const uid = textAt(reference, 'uid');
  if (uid !== '' && uid !== object.metadata.uid) throw conflict(resource, name, `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`);
  if (kind === 'Pod' && textAt(object, 'spec', 'serviceAccountName') !== account) throw badRequest(`cannot bind token for serviceaccount "${account}" to pod running with different serviceaccount name.`);
  return { kind, name, uid: object.metadata.uid! };
}

/** Answers whose token it is. */
export function reviewToken(env: Environment, tokens: TokenAuthority, body: unknown): KubeObject {
  const spec = own(body, 'spec');
  const token = textAt(spec, 'token');
  if (token === '') throw badRequest('token is required for TokenReview in authentication');
  const asked = listAt(spec, 'audiences').filter((one): one is string => typeof one === 'string');
  const wanted = asked.length > 0 ? asked : API_AUDIENCES;
  const found = userOfToken(token, tokens, env.store, wanted, env.now());
  const status = typeof found === 'string'
    ? { user: {}, error: `[invalid bearer token, ${found}]` }
    : { authenticated: true, user: found.user, audiences: found.claims.audiences.filter((one) => wanted.includes(one)) };
  return { kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', metadata: { creationTimestamp: null }, spec, status } as unknown as KubeObject;
}
