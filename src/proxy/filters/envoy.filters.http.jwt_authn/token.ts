import type { JsonObject } from '@bufbuild/protobuf';

/** A token taken apart; nothing in it is proven yet. */
export interface ParsedToken {
  readonly alg: string;
  /** '' = not said. */
  readonly kid: string;
  /** The first two sections as they stand: what the signature is over. */
  readonly signed: string;
  readonly payloadText: string;
  readonly payload: JsonObject;
  readonly signature: Buffer;
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  /** Seconds; 0 = not said. */
  readonly notBefore: number;
  readonly expires: number;
}

/** What is wrong with a token or its keys, in Envoy's words: the body of the 401. */
export class TokenProblem extends Error {
  override name = 'TokenProblem';
}

const ALGORITHMS = new Set(['ES256', 'ES384', 'ES512', 'HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA']);
const MAX_INTEGER = 2 ** 63;

/** @throws TokenProblem. @see https://github.com/envoyproxy/envoy/blob/main/source/common/jwt/jwt.cc */
export function parseToken(text: string): ParsedToken {
  const sections = text.split('.');
  if (sections.length !== 3 || sections.some((section) => section === '')) throw new TokenProblem('Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections');
  const [headerText, payloadText, signatureText] = sections as [string, string, string];
  const header = json(bytes(headerText, 'Jwt header is an invalid Base64url encoded'), 'Jwt header is an invalid JSON');
  const alg = own(header, 'alg');
  if (typeof alg !== 'string') throw new TokenProblem('Jwt header [alg] field is required and must be a string');
  if (!ALGORITHMS.has(alg)) throw new TokenProblem('Jwt header [alg] is not supported');
  const kid = textOf(header, 'kid', 'Jwt header [kid] field is not a string');
  const payload = json(bytes(payloadText, 'Jwt payload is an invalid Base64url encoded'), 'Jwt payload is an invalid JSON');
  const issuer = textOf(payload, 'iss', 'Jwt payload [iss] field is not a string');
  const subject = textOf(payload, 'sub', 'Jwt payload [sub] field is not a string');
  seconds(payload, 'iat');
  const notBefore = seconds(payload, 'nbf');
  const expires = seconds(payload, 'exp');
  textOf(payload, 'jti', 'Jwt payload [jti] field is not a string');
  const audiences = audiencesOf(payload);
  return {
    alg, kid, signed: `${headerText}.${payloadText}`, payloadText, payload, signature: bytes(signatureText, 'Jwt signature is an invalid Base64url encoded'), issuer, subject, audiences, notBefore, expires,
  };
}

/** Bytes of base64url text without or with padding. */
function bytes(text: string, problem: string): Buffer {
  const bare = text.replace(/={1,2}$/, '');
  if (!/^[A-Za-z0-9_-]*$/.test(bare) || bare.length % 4 === 1) throw new TokenProblem(problem);
  return Buffer.from(bare, 'base64url');
}

function json(data: Buffer, problem: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8'));
  } catch {
    throw new TokenProblem(problem);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TokenProblem(problem);
  return value as JsonObject;
}

function own(object: JsonObject, name: string): JsonObject[string] | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function textOf(object: JsonObject, name: string, problem: string): string {
  const value = own(object, name);
  if (value === undefined) return '';
  if (typeof value !== 'string') throw new TokenProblem(problem);
  return value;
}

function seconds(payload: JsonObject, name: string): number {
  const value = own(payload, name);
  if (value === undefined) return 0;
  if (typeof value !== 'number') throw new TokenProblem(`Jwt payload [${name}] field is not an integer`);
  if (value < 0 || value >= MAX_INTEGER) throw new TokenProblem(`Jwt payload [${name}] field is not a positive 64 bit integer`);
  return Math.trunc(value);
}

function audiencesOf(payload: JsonObject): readonly string[] {
  const value = own(payload, 'aud');
  if (value === undefined) return [];
  if (typeof value === 'string') return [value];
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw new TokenProblem('Jwt payload [aud] field is not a string or string list');
}
