/** MeshPolicy and Policy → PeerAuthentication, RequestAuthentication and an AuthorizationPolicy that demands the token. @see features.md §1.6 */
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf } from '../context.ts';
import { Cursor } from '../cursor.ts';
import { convertedIssue, modern, notConverted, type ModernObject } from './modern.ts';
import type { PolicyService } from './services.ts';

export interface AuthenticationInput {
  readonly services: readonly PolicyService[];
  readonly rootNamespace: string;
}

type Json = Readonly<Record<string, unknown>>;

/** What a policy holds for: a namespace, or some workloads of it and of these only some ports. */
interface Scope {
  readonly suffix: string;
  readonly selector?: Readonly<Record<string, string>>;
  /** Empty: all. */
  readonly ports: readonly number[];
}

/** The modern objects of one policy; what it says that cannot be kept becomes issues. */
export function convertAuthenticationPolicy(object: KubeObject, input: AuthenticationInput, issues: Issue[]): readonly ModernObject[] {
  const spec = new Cursor((object as { readonly spec?: unknown }).spec ?? {}, 'spec', (path, message) => issues.push(notConverted(object, path, `${path}: ${message}.`)));
  const mesh = object.kind === 'MeshPolicy';
  const namespace = mesh ? input.rootNamespace : namespaceOf(object);
  const scopes = mesh || spec.at('targets').items().length === 0 ? [{ suffix: '', ports: [] }] : scopesOf(object, spec, namespace, input, issues);
  const mode = modeOf(spec);
  const { name } = object.metadata;
  const rules = spec.at('origins').items().map((origin) => origin.at('jwt'));
  const made = scopes.flatMap((scope) => {
    const selected = scope.selector ? { selector: { matchLabels: scope.selector } } : {};
    const mtls = scope.ports.length === 0 ? { mtls: { mode } } : { portLevelMtls: Object.fromEntries(scope.ports.map((port) => [port, { mode }])) };
    const peer = modern(object, 'PeerAuthentication', namespace, `${name}${scope.suffix}`, { ...selected, ...mtls });
    if (rules.length === 0) return [peer];
    const request = modern(object, 'RequestAuthentication', namespace, `${name}${scope.suffix}`, { ...selected, jwtRules: rules.map(jwtRule) });
    if (spec.at('originIsOptional').boolean()) return [peer, request];
    const demands = rules.flatMap((rule) => demandsOf(object, rule, scope, issues));
    return [peer, request, modern(object, 'AuthorizationPolicy', namespace, `${name}${scope.suffix}-token`, { ...selected, action: 'DENY', rules: demands })];
  });
  issues.push(convertedIssue(object, '1.6', made));
  return made;
}

/** `mtls` alone is STRICT; a policy without peers serves plain text, as it did. */
function modeOf(spec: Cursor): 'STRICT' | 'PERMISSIVE' | 'DISABLE' {
  // `- mtls:` with nothing behind it is null (or gone, where nulls are dropped), and asks for mTLS all the same.
  const first = spec.at('peers').items().find((peer) => !peer.at('jwt').exists)?.at('mtls');
  if (!first) return 'DISABLE';
  const permissive = first.at('mode').string() === 'PERMISSIVE' || first.at('allowTls').boolean() === true || spec.at('peerIsOptional').boolean() === true;
  return permissive ? 'PERMISSIVE' : 'STRICT';
}

function scopesOf(object: KubeObject, spec: Cursor, namespace: string, { services }: AuthenticationInput, issues: Issue[]): readonly Scope[] {
  return spec.at('targets').items().flatMap((target) => {
    const name = target.at('name').string();
    const service = services.find((one) => one.namespace === namespace && one.name === name);
    if (!service) {
      issues.push(notConverted(object, target.path, `${target.path} names Service ${namespace}/${name}, which does not exist or selects no pods; the policy does not hold for it until it does.`));
      return [];
    }
    const ports = target.at('ports').items().flatMap((wanted) => {
      const port = service.ports.find((one) => (wanted.at('number').exists ? one.number === wanted.at('number').number() : one.name === wanted.at('name').string()));
      if (port?.targetPort !== undefined) return [port.targetPort];
      issues.push(notConverted(object, wanted.path, `${wanted.path} is no port of Service ${namespace}/${name} with a number in its pods; the policy holds for all ports.`, 'give targetPort of the Service a number'));
      return [];
    });
    const complete = ports.length === target.at('ports').items().length;
    return [{ suffix: `-${name}`, selector: { ...service.selector, ...target.at('labels').stringMap() }, ports: complete ? ports : [] }];
  });
}

function jwtRule(jwt: Cursor): Json {
  const headers = jwt.at('jwtHeaders').strings();
  const kept = { issuer: jwt.at('issuer').string(), audiences: jwt.at('audiences').strings(), jwksUri: jwt.at('jwksUri').string(), jwks: jwt.at('jwks').string(), fromParams: jwt.at('jwtParams').strings() };
  return {
    ...Object.fromEntries(Object.entries(kept).filter(([, value]) => value.length > 0)),
    ...(headers.length > 0 && { fromHeaders: headers.map((header) => ({ name: header, ...(header.toLowerCase() === 'authorization' && { prefix: 'Bearer ' }) })) }),
    forwardOriginalToken: true,
  };
}

/** Denies what has no valid token where the old rule asked for one: one rule for each of its triggers. */
function demandsOf(object: KubeObject, jwt: Cursor, scope: Scope, issues: Issue[]): readonly Json[] {
  const triggers = jwt.at('triggerRules').items();
  const rule = (operation: Json): Json => {
    const whole = { ...operation, ...(scope.ports.length > 0 && { ports: scope.ports.map(String) }) };
    return { from: [{ source: { notRequestPrincipals: ['*'] } }], ...(Object.keys(whole).length > 0 && { to: [{ operation: whole }] }) };
  };
  if (triggers.length === 0) return [rule({})];
  return triggers.map((trigger) => {
    const [excluded, included] = ['excludedPaths', 'includedPaths'].map((name) => trigger.at(name).items().map((match) => pathOf(object, match, issues))) as [(string | undefined)[], (string | undefined)[]];
    const spared = excluded.filter((path) => path !== undefined);
    // A path that cannot be told apart must not open a hole: the token is then asked for everywhere.
    return rule({ ...(included.length > 0 && !included.includes(undefined) && { paths: included }), ...(spared.length > 0 && { notPaths: spared }) });
  });
}

function pathOf(object: KubeObject, match: Cursor, issues: Issue[]): string | undefined {
  if (match.at('exact').exists) return match.at('exact').string();
  if (match.at('prefix').exists) return `${match.at('prefix').string()}*`;
  if (match.at('suffix').exists) return `*${match.at('suffix').string()}`;
  issues.push(notConverted(object, match.path, `${match.path} is a regular expression, which AuthorizationPolicy cannot say; the token is asked for on all these paths.`, 'use exact, prefix or suffix'));
  return undefined;
}
