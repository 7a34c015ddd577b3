import { contentHash } from '../model/hash.ts';
import type { JwtRule, RequestAuthentication } from '../model/request-authentication.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, namespaceOf, originOf, readSpec, warn, type ResolveContext } from './context.ts';
import { Cursor } from './cursor.ts';
import { hasKeys } from './key-set.ts';
import { readTargeting } from './policy-target.ts';

/** A key set the control plane fetched, or tried to. */
export interface FetchedKeySet {
  /** Last good text; '' when there never was one. */
  readonly jwks: string;
  /** Why the last try failed; undefined = it did not. */
  readonly problem: string | undefined;
  /** When `jwks` was fetched, ISO time; '' when never. */
  readonly fetchedAt: string;
}

/** A key set that has to be fetched. */
export interface WantedKeySet {
  /** Names it in the map given to `resolve`. */
  readonly key: string;
  readonly uri: string;
  /** The URI is that of a discovery document, which names the key set's. */
  readonly discover: boolean;
  /** Default 5000. */
  readonly timeoutMs: number;
}

/** What the policies among the objects ask for, each once. */
export function wantedKeySets(objects: Iterable<KubeObject>): readonly WantedKeySet[] {
  const wanted = new Map<string, WantedKeySet>();
  for (const object of objects) {
    for (const rule of tokenRules(object)) {
      const one = wantedOf(rule);
      if (one && !wanted.has(one.key)) wanted.set(one.key, one);
    }
  }
  return [...wanted.values()];
}

/** Rules about tokens; those of legacy policies name issuer and keys as today's do. */
function tokenRules(object: KubeObject): readonly Cursor[] {
  const spec = new Cursor((object as { readonly spec?: unknown }).spec, 'spec', () => {});
  if (object.kind === 'RequestAuthentication') return spec.at('jwtRules').items();
  return object.apiVersion.startsWith('authentication.istio.io/') ? spec.at('origins').items().map((origin) => origin.at('jwt')) : [];
}

/** Without a URI the issuer's own discovery document is asked. @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig */
function wantedOf(rule: Cursor): WantedKeySet | undefined {
  if (rule.at('jwks').string() !== '') return undefined;
  const uri = rule.at('jwksUri').string();
  const issuer = rule.at('issuer').string();
  const timeoutMs = rule.at('timeout').durationMs() || 5000;
  if (uri !== '') return { key: uri, uri, discover: false, timeoutMs };
  return /^https?:\/\//.test(issuer) ? { key: `issuer ${issuer}`, uri: `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, discover: true, timeoutMs } : undefined;
}

/** Reads a RequestAuthentication with the key sets known by now; undefined (and issues) when it must be left out. */
export function resolveRequestAuthentication(context: ResolveContext, object: KubeObject, keySets: ReadonlyMap<string, FetchedKeySet>): RequestAuthentication | undefined {
  return readSpec(context, object, (spec) => {
    const rules = spec.at('jwtRules').items().map((rule) => readRule(context, object, rule, keySets));
    return {
      kind: 'request-authentication' as const, name: object.metadata.name, namespace: namespaceOf(object), ...readTargeting(spec), rules,
      createdMs: createdMsOf(object), origin: originOf(object), digest: contentHash([originOf(object), spec.value, rules.map((rule) => rule.jwks)]),
    };
  });
}

function readRule(context: ResolveContext, object: KubeObject, rule: Cursor, keySets: ReadonlyMap<string, FetchedKeySet>): JwtRule {
  const issuer = rule.at('issuer').string();
  if (issuer === '') rule.at('issuer').fail('is required');
  return {
    issuer, audiences: rule.at('audiences').strings(), jwks: keysOf(context, object, rule, keySets),
    fromHeaders: rule.at('fromHeaders').items().map((header) => ({ name: header.at('name').string(), prefix: header.at('prefix').string() })),
    fromParams: rule.at('fromParams').strings(), fromCookies: rule.at('fromCookies').strings(),
    forwardOriginalToken: rule.at('forwardOriginalToken').boolean() ?? false, outputPayloadToHeader: rule.at('outputPayloadToHeader').string(),
    outputClaimToHeaders: rule.at('outputClaimToHeaders').items().map((entry) => ({ header: entry.at('header').string(), claim: entry.at('claim').string() })),
    spaceDelimitedClaims: rule.at('spaceDelimitedClaims').strings(),
  };
}

function keysOf(context: ResolveContext, object: KubeObject, rule: Cursor, keySets: ReadonlyMap<string, FetchedKeySet>): string {
  const inline = rule.at('jwks').string();
  if (inline !== '') {
    if (hasKeys(inline)) return inline;
    warn(context, object, 'MLT0012', rule.at('jwks').path, 'The key set holds no key that can be used: no token of this issuer is accepted.', '{"keys": [{"kty": "RSA", "n": "…", "e": "AQAB"}]}');
    return '';
  }
  const wanted = wantedOf(rule);
  const fetched = keySets.get(wanted?.key ?? '');
  const path = rule.at('jwksUri').path;
  if (wanted === undefined) warn(context, object, 'MLT0012', rule.path, 'Neither jwks nor jwksUri is given: no token of this issuer is accepted.');
  else if (fetched?.problem !== undefined)
    warn(context, object, 'MLT0012', path, fetched.jwks === ''
      ? `The key set cannot be fetched (${fetched.problem}): no token of this issuer is accepted until it can.`
      : `The key set is stale: it was last fetched at ${fetched.fetchedAt} and stays in use (${fetched.problem}).`);
  return fetched?.jwks ?? '';
}
