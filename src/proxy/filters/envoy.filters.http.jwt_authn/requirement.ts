import type { JsonObject } from '@bufbuild/protobuf';
import type { JwtRequirement } from '../../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.ts';
import { eachWithin } from '../../config/config-error.ts';
import type { RequestHead } from '../../http/message.ts';
import { audienceSet, type Provider } from './provider.ts';
import type { TokenLocation } from './locations.ts';
import { parseToken, TokenProblem, type ParsedToken } from './token.ts';

/** `ok`, or why not: one of Envoy's texts. */
export type Outcome = string;

export const MISSING = 'Jwt is missing';
const UNKNOWN_ISSUER = 'Jwt issuer is not configured';

/** One request under check. Tokens are parsed once; what was accepted is collected. */
export class Check {
  readonly metadata: JsonObject = {};
  /** A provider whose claims choose routes has accepted a token. */
  clearsRoute = false;
  private readonly parsed = new Map<string, ParsedToken | TokenProblem>();
  private readonly accepted = new Set<string>();

  constructor(readonly head: RequestHead, readonly nowSeconds: number) {}

  /** @throws TokenProblem */
  parse(text: string): ParsedToken {
    let token = this.parsed.get(text);
    if (token === undefined) {
      try {
        token = parseToken(text);
      } catch (thrown) {
        if (!(thrown instanceof TokenProblem)) throw thrown;
        token = thrown;
      }
      this.parsed.set(text, token);
    }
    if (token instanceof TokenProblem) throw token;
    return token;
  }

  /** The request is changed at the end, when it is known that it goes on: other issuers may need the same token. */
  accept(provider: Provider, token: ParsedToken, location: TokenLocation): void {
    const key = `${provider.issuer} ${token.signed}`;
    if (this.accepted.has(key)) return;
    this.accepted.add(key);
    this.clearsRoute ||= provider.clearsRoute;
    this.effects.push(() => Object.assign(this.metadata, provider.accept(token, location, this.head)));
  }

  private readonly effects: (() => void)[] = [];

  finish(): void {
    for (const effect of this.effects) effect();
  }
}

export type Requirement = (check: Check) => Outcome;

/** @throws Error for requirements that name unknown providers. @see envoy.extensions.filters.http.jwt_authn.v3.JwtRequirement */
export function compileRequirement(requirement: JwtRequirement, providers: ReadonlyMap<string, Provider>): Requirement {
  const { requiresType: type } = requirement;
  switch (type.case) {
    case 'providerName':
      return fromProvider(named(type.value, providers));
    case 'providerAndAudiences':
      return fromProvider(named(type.value.providerName, providers), audienceSet(type.value.audiences));
    case 'requiresAll': {
      const all = eachWithin('requires_all', type.value.requirements, (inner) => compileRequirement(inner, providers));
      return (check) => all.map((inner) => inner(check)).find((outcome) => outcome !== 'ok') ?? 'ok';
    }
    case 'requiresAny':
      return anyOf(type.value.requirements, providers);
    case 'allowMissing':
      return fromAnyone([...providers.values()], false);
    case 'allowMissingOrFailed':
      return fromAnyone([...providers.values()], true);
    case undefined:
      return () => 'ok';
  }
}

function named(name: string, providers: ReadonlyMap<string, Provider>): Provider {
  const provider = providers.get(name);
  if (provider === undefined) throw new Error(`there is no provider ${name}`);
  return provider;
}

/** The first that holds; else the most telling reason: that a token is wrong says more than that it is missing or of somebody else. */
function anyOf(requirements: readonly JwtRequirement[], providers: ReadonlyMap<string, Provider>): Requirement {
  const isBypass = ({ requiresType: { case: kind } }: JwtRequirement): boolean => kind === 'allowMissing' || kind === 'allowMissingOrFailed';
  const rest = requirements.filter((requirement) => !isBypass(requirement));
  const used = rest.flatMap(({ requiresType: type }) => (type.case === 'providerName' ? [named(type.value, providers)] : type.case === 'providerAndAudiences' ? [named(type.value.providerName, providers)] : []));
  const bypass = requirements.filter(isBypass).map(({ requiresType: type }) => fromAnyone(used.length > 0 ? used : [...providers.values()], type.case === 'allowMissingOrFailed'));
  const all = [...eachWithin('requires_any', rest, (inner) => compileRequirement(inner, providers)), ...bypass];
  return (check) => {
    let reason: Outcome = MISSING;
    for (const requirement of all) {
      const outcome = requirement(check);
      if (outcome === 'ok') return 'ok';
      if (reason === MISSING || (reason === UNKNOWN_ISSUER && outcome !== MISSING) || (outcome !== MISSING && outcome !== UNKNOWN_ISSUER)) reason = outcome;
    }
    return reason;
  };
}

/**
 * A token of this provider, from any of its locations. All tokens that stand there must be good: who reads the request later may take another one than
 * the one that was proven.
 */
function fromProvider(provider: Provider, audiences?: ReadonlySet<string>): Requirement {
  return (check) => {
    let outcome: Outcome = MISSING;
    for (const location of provider.locations) {
      const text = location.find(check.head);
      if (text === undefined) continue;
      outcome = tryToken(check, text, (token) => {
        if (provider.issuer !== '' && provider.issuer !== token.issuer) throw new TokenProblem(UNKNOWN_ISSUER);
        provider.check(token, check.nowSeconds, audiences);
        check.accept(provider, token, location);
      });
      if (outcome !== 'ok') return outcome;
    }
    return outcome;
  };
}

/** No token, or tokens that are all good. */
function fromAnyone(providers: readonly Provider[], failed: boolean): Requirement {
  return (check) => {
    for (const asked of providers)
      for (const location of asked.locations) {
        const text = location.find(check.head);
        if (text === undefined) continue;
        const outcome = tryToken(check, text, (token) => {
          const provider = providers.find(({ issuer }) => issuer === token.issuer || issuer === '');
          if (provider === undefined) throw new TokenProblem(UNKNOWN_ISSUER);
          provider.check(token, check.nowSeconds);
          check.accept(provider, token, location);
        });
        if (outcome !== 'ok' && !failed) return outcome;
      }
    return 'ok';
  };
}

function tryToken(check: Check, text: string, use: (token: ParsedToken) => void): Outcome {
  try {
    use(check.parse(text));
    return 'ok';
  } catch (thrown) {
    if (thrown instanceof TokenProblem) return thrown.message;
    throw thrown;
  }
}
