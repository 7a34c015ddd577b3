import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { JwtProvider } from '../../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.ts';
import type { RequestHead } from '../../http/message.ts';
import { parseKeySet, verifySignature, type KeySet } from './key-set.ts';
import { cookieLocation, headerLocation, parameterLocation, type TokenLocation } from './locations.ts';
import { TokenProblem, type ParsedToken } from './token.ts';

/** Envoy's allowance for clocks that differ. */
const CLOCK_SKEW_SECONDS = 60;

/** An issuer as the filter needs it. */
export interface Provider {
  /** '' = any issuer. */
  readonly issuer: string;
  readonly locations: readonly TokenLocation[];
  /** Headers that only this filter may set; requests come without them. */
  readonly ownHeaders: readonly string[];
  /** Routes may be chosen by its claims. */
  readonly clearsRoute: boolean;
  /** @throws TokenProblem. `audiences` replaces the provider's own. */
  check(token: ParsedToken, nowSeconds: number, audiences?: ReadonlySet<string>): void;
  /** What a proven token does to the request. */
  accept(token: ParsedToken, location: TokenLocation, head: RequestHead): JsonObject;
}

/** @throws Error for providers that cannot be obeyed. @see envoy.extensions.filters.http.jwt_authn.v3.JwtProvider */
export function compileProvider(config: JwtProvider): Provider {
  if (config.subjects !== undefined || config.maxLifetime !== undefined) throw new Error('subjects and max_lifetime are not supported');
  const keys = keysOf(config);
  const ownAudiences = audienceSet(config.audiences);
  const claims = config.claimToHeaders.map(({ headerName, claimName }) => ({ header: headerName.toLowerCase(), path: claimName.split('.') }));
  const payloadHeader = config.forwardPayloadHeader.toLowerCase();
  const skew = config.clockSkewSeconds === 0 ? CLOCK_SKEW_SECONDS : config.clockSkewSeconds;
  return {
    issuer: config.issuer,
    clearsRoute: config.clearRouteCache,
    locations: locationsOf(config),
    ownHeaders: [...(payloadHeader === '' ? [] : [payloadHeader]), ...claims.map(({ header }) => header)],
    check(token, nowSeconds, audiences = ownAudiences) {
      if (config.requireExpiration && token.expires === 0) throw new TokenProblem('Jwt is expired');
      if (token.notBefore > nowSeconds + skew) throw new TokenProblem('Jwt not yet valid');
      if (token.expires !== 0 && nowSeconds > token.expires + skew) throw new TokenProblem('Jwt is expired');
      if (audiences.size > 0 && !token.audiences.some((audience) => audiences.has(bareAudience(audience)))) throw new TokenProblem('Audiences in Jwt are not allowed');
      if (keys === undefined) throw new TokenProblem('Jwks remote fetch is failed');
      verifySignature(token, keys);
    },
    accept(token, location, head) {
      if (payloadHeader !== '') head.headers.set(payloadHeader, config.padForwardPayloadHeader ? padded(token.payloadText) : token.payloadText);
      for (const { header, path } of claims) {
        const value = claimAt(token.payload, path);
        if (value !== undefined) head.headers.set(header, headerText(value));
      }
      if (!config.forward) location.remove(head);
      return metadataOf(config, token);
    },
  };
}

/** Undefined: the control plane has no keys of this issuer, which it says with a fetch that goes nowhere. */
function keysOf({ jwksSourceSpecifier: source }: JwtProvider): KeySet | undefined {
  if (source.case === undefined) throw new Error('a provider without keys');
  if (source.case === 'remoteJwks') {
    const upstream = source.value.httpUri?.httpUpstreamType;
    if (upstream?.case === 'cluster' && upstream.value === 'BlackHoleCluster') return undefined;
    throw new Error('remote_jwks is not supported: the control plane fetches keys');
  }
  const { specifier } = source.value;
  if (specifier.case === 'inlineString') return parseKeySet(specifier.value);
  if (specifier.case === 'inlineBytes') return parseKeySet(Buffer.from(specifier.value).toString('utf8'));
  throw new Error('keys from files and environment variables are not supported');
}

/** Audiences compare without scheme and without a last slash. */
export function audienceSet(audiences: readonly string[]): ReadonlySet<string> {
  return new Set(audiences.map(bareAudience));
}

function bareAudience(audience: string): string {
  return audience.replace(/^https?:\/\//, '').replace(/\/$/, '');
}

function locationsOf({ fromHeaders, fromParams, fromCookies }: JwtProvider): readonly TokenLocation[] {
  if (fromHeaders.length === 0 && fromParams.length === 0 && fromCookies.length === 0) return [headerLocation('authorization', 'Bearer '), parameterLocation('access_token')];
  return [...fromHeaders.map(({ name, valuePrefix }) => headerLocation(name, valuePrefix)), ...fromParams.map(parameterLocation), ...fromCookies.map(cookieLocation)];
}

function metadataOf(config: JwtProvider, token: ParsedToken): JsonObject {
  if (config.payloadInMetadata === '') return {};
  const payload: JsonObject = { ...token.payload };
  for (const claim of config.normalizePayloadInMetadata?.spaceDelimitedClaims ?? []) {
    const value = Object.hasOwn(payload, claim) ? payload[claim] : undefined;
    if (typeof value === 'string') payload[claim] = value.split(' ').filter((part) => part !== '');
  }
  return { [config.payloadInMetadata]: payload };
}

function claimAt(payload: JsonObject, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = payload;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

function headerText(value: JsonValue): string {
  return typeof value === 'object' ? Buffer.from(JSON.stringify(value)).toString('base64url') : String(value);
}

function padded(text: string): string {
  return text + '='.repeat((4 - (text.length % 4)) % 4);
}
