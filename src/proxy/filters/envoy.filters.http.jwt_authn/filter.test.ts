import { constants, createHmac, generateKeyPairSync, sign, type KeyPairKeyObjectResult } from 'node:crypto';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { JwtAuthenticationSchema, type JwtProviderSchema } from '../../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.ts';
import type { RequestHead } from '../../http/message.ts';
import { ProxyStats } from '../../stats.ts';
import { head } from '../../testing/head.ts';
import type { DynamicMetadata } from '../dynamic-metadata.ts';
import type { FilterContext, FilterVerdict } from '../http-filter.ts';
import { jwtAuthnFilter } from './filter.ts';

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const NOW = Math.floor(Date.now() / 1000);
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const curves = new Map(['P-256', 'P-384', 'P-521'].map((namedCurve) => [namedCurve, generateKeyPairSync('ec', { namedCurve })]));
const secret = Buffer.from('0123456789abcdef0123456789abcdef');
const jwk = (pair: KeyPairKeyObjectResult, more: object = {}) => ({ ...pair.publicKey.export({ format: 'jwk' }), ...more });

function signed(alg: string, payload: object, header: object = {}): string {
  const text = `${encode({ alg, ...header })}.${encode(payload)}`;
  const digest = `sha${alg.slice(2)}`;
  const data = Buffer.from(text);
  const ec = (curve: string) => sign(digest, data, { key: curves.get(curve)!.privateKey, dsaEncoding: 'ieee-p1363' });
  const make: Record<string, () => Buffer> = {
    RS: () => sign(digest, data, rsa.privateKey), HS: () => createHmac(digest, secret).update(data).digest(),
    PS: () => sign(digest, data, { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }),
    ES: () => ec(alg === 'ES256' ? 'P-256' : alg === 'ES384' ? 'P-384' : 'P-521'),
  };
  return `${text}.${make[alg.slice(0, 2)]!().toString('base64url')}`;
}

const ALL = { keys: [jwk(rsa), ...[...curves.values()].map((pair) => jwk(pair)), { kty: 'oct', k: secret.toString('base64url') }] };

interface Ran {
  readonly verdict: FilterVerdict;
  readonly request: RequestHead;
  readonly metadata: DynamicMetadata;
}

function run(token: string | undefined, provider: MessageInitShape<typeof JwtProviderSchema> = {}, jwks: unknown = ALL): Ran {
  const config = create(JwtAuthenticationSchema, {
    providers: { p: { issuer: 'i', jwksSourceSpecifier: { case: 'localJwks', value: { specifier: { case: 'inlineString', value: JSON.stringify(jwks) } } }, payloadInMetadata: 'payload', ...provider } },
    rules: [{ match: { pathSpecifier: { case: 'prefix', value: '/' } }, requirementType: { case: 'requires', value: { requiresType: { case: 'providerName', value: 'p' } } } }],
  });
  const filter = jwtAuthnFilter.create(jwtAuthnFilter.parse(jwtAuthnFilter.typeUrl, toBinary(JwtAuthenticationSchema, config)), undefined)!;
  const request = head({ path: '/a', headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
  const metadata: DynamicMetadata = new Map();
  const verdict = filter.onRequest!(request, { stats: new ProxyStats().httpManager('x'), metadata } as unknown as FilterContext);
  return { verdict, request, metadata };
}
const reasonOf = ({ verdict }: Ran): string => (verdict.kind === 'reply' ? verdict.reply.body : verdict.kind);

describe('algorithms', () => {
  it.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'HS256', 'HS384', 'HS512'])('%s', (alg) => {
    const token = signed(alg, { iss: 'i', sub: 's' });
    const ran = run(token);
    expect(reasonOf(ran)).toBe('continue');
    expect(ran.metadata.get('envoy.filters.http.jwt_authn')).toEqual({ payload: { iss: 'i', sub: 's' } });
    expect(ran.request.headers.has('authorization')).toBe(false);
    const middle = token.lastIndexOf('.') + 12;
    expect(reasonOf(run(token.slice(0, middle) + (token[middle] === 'A' ? 'B' : 'A') + token.slice(middle + 1)))).toBe('Jwt verification fails');
  });
});

describe('attacks', () => {
  it('a public key is no shared secret', () => {
    const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string;
    const text = `${encode({ alg: 'HS256' })}.${encode({ iss: 'i' })}`;
    const forged = `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
    expect(reasonOf(run(forged, {}, { keys: [jwk(rsa)] }))).toBe('Jwt verification fails');
    expect(reasonOf(run(forged, {}, { keys: [jwk(rsa, { alg: 'RS256' })] }))).toBe("Jwks doesn't have key to match kid or alg from Jwt");
  });
  it('keys inside the token are not looked at', () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const text = `${encode({ alg: 'RS256', jwk: jwk(other), jku: 'http://evil', x5c: ['x'] })}.${encode({ iss: 'i' })}`;
    expect(reasonOf(run(`${text}.${sign('sha256', Buffer.from(text), other.privateKey).toString('base64url')}`))).toBe('Jwt verification fails');
  });
  it.each(['none', 'None', 'NONE', 'nOnE', '', 'RS1', 'HS257'])('alg %j', (alg) => expect(reasonOf(run(`${encode({ alg })}.${encode({ iss: 'i' })}.AAAA`))).toBe('Jwt header [alg] is not supported'));
  it('many keys cost a bounded time', () => {
    const other = jwk(generateKeyPairSync('rsa', { modulusLength: 1024 }));
    expect(reasonOf(run(signed('RS256', { iss: 'i' }), {}, { keys: [...Array.from({ length: 5000 }, () => other), jwk(rsa)] }))).toBe('Jwt verification fails');
  });
  it('claims with names of the language are only data', () => {
    const text = `${encode({ alg: 'HS256' })}.${Buffer.from('{"iss":"i","__proto__":{"admin":true},"constructor":"x"}').toString('base64url')}`;
    const ran = run(`${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`, { claimToHeaders: [{ headerName: 'x-c', claimName: 'toString' }] });
    expect(reasonOf(ran)).toBe('continue');
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
    expect(ran.request.headers.has('x-c')).toBe(false);
  });
});

describe('time', () => {
  it.each([
    [{ exp: NOW - 30 }, 'continue'], [{ exp: NOW - 90 }, 'Jwt is expired'], [{ nbf: NOW + 30 }, 'continue'], [{ nbf: NOW + 90 }, 'Jwt not yet valid'], [{}, 'continue'],
  ])('%j: %s', (payload, reason) => expect(reasonOf(run(signed('HS256', { iss: 'i', ...payload })))).toBe(reason));
  it('an expiry can be required', () => expect(reasonOf(run(signed('HS256', { iss: 'i' }), { requireExpiration: true }))).toBe('Jwt is expired'));
});

describe('challenges', () => {
  it('of a missing token', () => {
    const { verdict } = run(undefined);
    expect(verdict).toMatchObject({ kind: 'reply', reply: { status: 401, body: 'Jwt is missing', details: 'jwt_authn_access_denied{Jwt_is_missing}', headers: [['www-authenticate', 'Bearer realm="http://host/a"']] } });
  });
  it('of an audience', () => expect(run(signed('HS256', { iss: 'i', aud: 'x' }), { audiences: ['y'] }).verdict).toMatchObject({ kind: 'reply', reply: { status: 403 } }));
});
