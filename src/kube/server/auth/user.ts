/** Who sends a request. */
import type { TLSSocket } from 'node:tls';
import { textAt } from '../json.ts';
import { storageKey } from '../api/storage-key.ts';
import type { Store } from '../store/store.ts';
import { ISSUER, type TokenAuthority, type TokenClaims } from './tokens.ts';

export interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** The user of in-process clients. */
export const SYSTEM_USER: UserInfo = { username: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] };

/** The user of a client certificate that our CA signed: common name and organizations. Undefined without one. */
export function userOfCertificate(socket: TLSSocket): UserInfo | undefined {
  if (!socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  if (!subject?.CN) return undefined;
  // Node types it as text, but several organizations come as a list.
  const organizations = (subject as unknown as { O?: string | string[] }).O ?? [];
  return { username: String(subject.CN), groups: [...(Array.isArray(organizations) ? organizations : [organizations]), 'system:authenticated'] };
}

/** The user of a service account token, or a sentence why the token is worth nothing. `audiences`: one of them must be in the token. */
export function userOfToken(token: string, tokens: TokenAuthority, store: Store, audiences: readonly string[], nowMs: number): { readonly user: UserInfo; readonly claims: TokenClaims } | string {
  const claims = tokens.check(token, nowMs);
  if (typeof claims === 'string') return claims;
  if (!claims.audiences.some((audience) => audiences.includes(audience))) return `token audiences ${JSON.stringify(claims.audiences)} is invalid for the target audiences ${JSON.stringify(audiences)}`;
  const { namespace, serviceAccount, bound } = claims;
  const uidOf = (plural: string, name: string): string => textAt(store.get(storageKey({ group: '', plural }, name, plural === 'nodes' ? undefined : namespace))?.object, 'metadata', 'uid');
  if (uidOf('serviceaccounts', serviceAccount.name) !== serviceAccount.uid) return 'service account token has been invalidated';
  if (bound && uidOf(`${bound.kind.toLowerCase()}s`, bound.name) !== bound.uid) return 'service account token has been invalidated';
  return {
    claims,
    user: {
      username: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
      uid: serviceAccount.uid,
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/credential-id': [`JTI=${claims.id}`],
        ...(bound?.kind === 'Pod' ? { 'authentication.kubernetes.io/pod-name': [bound.name], 'authentication.kubernetes.io/pod-uid': [bound.uid] } : {}),
      },
    },
  };
}

/** The audience of requests to this server. */
export const API_AUDIENCES: readonly string[] = [ISSUER];
