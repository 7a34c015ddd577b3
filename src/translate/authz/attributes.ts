import { create } from '@bufbuild/protobuf';
import { TypedExtensionConfigSchema } from '../../xds/gen/envoy/config/core/v3/extension_pb.ts';
import type { Permission, Principal } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts';
import { UriTemplateMatchConfigSchema } from '../../xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.ts';
import type { StringMatcher } from '../../xds/gen/envoy/type/matcher/v3/string_pb.ts';
import { pack } from '../proto.ts';
import {
  addressRange, ANY_TEXT, anyValue, exactText, headerMatcher, listValue, metadataMatcher, permission, portNumber, prefixText, principal, quoteRegex, quoteWildcards, regexText,
  RuleProblem, suffixText, textMatcher, textValue,
} from './matchers.ts';

/** What matching values of an attribute needs to know. */
export interface AttributeContext {
  /** Namespace of the policy: service accounts without one belong to it. */
  readonly namespace: string;
  /** The mesh's trust domain and its aliases; empty = principals are taken as they are written. */
  readonly trustDomains: readonly string[];
  /** There is no request to look at, only a connection. */
  readonly tcp: boolean;
}

/** Matchers of the values of one attribute: any of them. Values that cannot be matched throw a RuleProblem. */
export type Attribute =
  | { readonly side: 'permission'; readonly match: (values: readonly string[], context: AttributeContext) => readonly Lazy<Permission>[] }
  | { readonly side: 'principal'; readonly match: (values: readonly string[], context: AttributeContext) => readonly Lazy<Principal>[] };

/** Made when asked, so that each value can fail on its own. */
export type Lazy<T> = () => T;

const JWT_FILTER = 'envoy.filters.http.jwt_authn';
const SPIFFE = 'spiffe://';

const each = <T>(make: (value: string, context: AttributeContext) => T) => (values: readonly string[], context: AttributeContext): readonly Lazy<T>[] => values.map((value) => () => make(value, context));

function http(context: AttributeContext, what: string): void {
  if (context.tcp) throw new RuleProblem(`${what} exists only in HTTP`);
}

const asPermission = (make: (value: string, context: AttributeContext) => Permission): Attribute => ({ side: 'permission', match: each(make) });
const asPrincipal = (make: (value: string, context: AttributeContext) => Principal): Attribute => ({ side: 'principal', match: each(make) });
/** All values in one matcher. */
const asOnePrincipal = (make: (values: readonly string[], context: AttributeContext) => Principal): Attribute => ({ side: 'principal', match: (values, context) => (values.length === 0 ? [] : [() => make(values, context)]) });

const authenticated = (name: StringMatcher): Principal => principal({ case: 'authenticated', value: { principalName: name } });

export const HOSTS = asPermission((value, context) => {
  http(context, 'hosts');
  return permission({ case: 'header', value: headerMatcher(':authority', value, true) });
});

export const METHODS = asPermission((value, context) => {
  http(context, 'methods');
  return permission({ case: 'header', value: headerMatcher(':method', value) });
});

export const PATHS = asPermission((value, context) => {
  http(context, 'paths');
  if (value.includes('{*}') || value.includes('{**}')) {
    // Envoy writes the operators without braces.
    const typedConfig = pack(UriTemplateMatchConfigSchema, { pathTemplate: value.replaceAll('{*}', '*').replaceAll('{**}', '**') });
    return permission({ case: 'uriTemplate', value: create(TypedExtensionConfigSchema, { name: 'uri-template', typedConfig }) });
  }
  return permission({ case: 'urlPath', value: { rule: { case: 'path', value: textMatcher(value) } } });
});

export const PORTS = asPermission((value) => permission({ case: 'destinationPort', value: portNumber(value) }));
export const PRINCIPALS: Attribute = { side: 'principal', match: (values, context) => withAliases(values, context.trustDomains).map((value) => () => authenticated(principalName(value))) };
/** The address of the connection's other end. */
export const IP_BLOCKS = asPrincipal((value) => principal({ case: 'directRemoteIp', value: addressRange(value) }));
/** The client's address, which trusted proxies may have told. */
export const REMOTE_IP_BLOCKS = asPrincipal((value) => principal({ case: 'remoteIp', value: addressRange(value) }));
export const NAMESPACES = asPrincipal((value) => authenticated(regexText(`.*/ns/${quoteWildcards(value, '.*')}/.*`)));

export const SERVICE_ACCOUNTS = asPrincipal((value, context) => {
  const slash = value.indexOf('/');
  const namespace = slash < 0 ? context.namespace : value.slice(0, slash);
  return authenticated(regexText(`${SPIFFE}.+/ns/${quoteRegex(namespace)}/(.+/|)sa/${quoteRegex(value.slice(slash + 1))}(/.+)?`));
});

export const TRUST_DOMAINS: Attribute = {
  side: 'principal',
  match: (values, { trustDomains }) => [...new Set(values.flatMap((value) => (trustDomains.includes(value) ? trustDomains : [value])))].map((value) => () =>
    authenticated(value.includes('*') ? regexText(`${SPIFFE}${quoteWildcards(value, '[^/]*')}/.*`) : prefixText(`${SPIFFE}${value}/`))),
};

export const REQUEST_PRINCIPALS = asPrincipal((value, context) => {
  http(context, 'request principals');
  const { issuer, subject } = requestPrincipal(value);
  const claim = (name: string, text: StringMatcher) => principal({ case: 'metadata', value: metadataMatcher(JWT_FILTER, ['payload', name], textValue(text)) });
  return principal({ case: 'andIds', value: { ids: [claim('iss', issuer), claim('sub', subject)] } });
});

const HEADERS = (name: string): Attribute => asPrincipal((value, context) => {
  http(context, 'request.headers');
  return principal({ case: 'header', value: headerMatcher(name, value) });
});

/** A claim that is a text or a list of texts. */
const CLAIM = (path: readonly string[]): Attribute => asOnePrincipal((values, context) => {
  http(context, 'request.auth');
  const texts = anyValue(values.map((value) => textValue(textMatcher(value))));
  return principal({ case: 'metadata', value: metadataMatcher(JWT_FILTER, ['payload', ...path], anyValue([listValue(texts), texts])) });
});

const METADATA = (filter: string, key: string): Attribute => ({
  side: 'permission',
  match: (values) => (values.length === 0 ? [] : [() => permission({ case: 'metadata', value: metadataMatcher(filter, [key], anyValue(values.map(metadataValue))) })]),
});

const FIXED: ReadonlyMap<string, Attribute> = new Map<string, Attribute>([
  ['source.ip', IP_BLOCKS], ['remote.ip', REMOTE_IP_BLOCKS], ['source.namespace', NAMESPACES], ['source.principal', PRINCIPALS], ['source.serviceAccount', SERVICE_ACCOUNTS],
  ['source.trustDomain', TRUST_DOMAINS], ['request.auth.principal', REQUEST_PRINCIPALS], ['request.auth.audiences', CLAIM(['aud'])], ['request.auth.presenter', CLAIM(['azp'])],
  ['destination.ip', asPermission((value) => permission({ case: 'destinationIp', value: addressRange(value) }))], ['destination.port', PORTS],
  ['connection.sni', asPermission((value) => permission({ case: 'requestedServerName', value: textMatcher(value) }))],
]);

/** The attribute of a `when` key. @throws RuleProblem for keys that name none. @see https://istio.io/latest/docs/reference/config/security/conditions/ */
export function attributeOf(key: string): Attribute {
  const fixed = FIXED.get(key);
  if (fixed) return fixed;
  const header = /^request\.headers\[([^\]]+)\]$/.exec(key);
  if (header) return HEADERS(header[1]!);
  const claims = /^request\.auth\.claims((?:\[[^[\]]+\])+)$/.exec(key);
  if (claims) return CLAIM(claims[1]!.slice(1, -1).split(']['));
  const metadata = /^experimental\.(envoy\.filters\.[^[]+)\[(.+)\]$/.exec(key);
  if (metadata) return METADATA(metadata[1]!, metadata[2]!);
  throw new RuleProblem(`unknown attribute ${key}`);
}

function metadataValue(value: string) {
  return value.startsWith('[') && value.endsWith(']') ? listValue(textValue(textMatcher(value.slice(1, -1)))) : textValue(textMatcher(value));
}

function principalName(value: string): StringMatcher {
  if (value === '*') return ANY_TEXT;
  if (value.startsWith('*')) return regexText(`${SPIFFE}.*${quoteRegex(value.slice(1))}`);
  return value.endsWith('*') ? prefixText(SPIFFE + value.slice(0, -1)) : exactText(SPIFFE + value);
}

/** `issuer/subject`: the last slash divides, because issuers are URLs. Without one a prefix is of the issuer, a suffix of the subject. */
function requestPrincipal(value: string): { readonly issuer: StringMatcher; readonly subject: StringMatcher } {
  if (value === '*') return { issuer: ANY_TEXT, subject: ANY_TEXT };
  const slash = value.lastIndexOf('/');
  const issuer = slash < 0 ? value : value.slice(0, slash);
  const subject = slash < 0 ? '' : value.slice(slash + 1);
  if (value.startsWith('*')) {
    if (slash < 0) return { issuer: ANY_TEXT, subject: suffixText(value.slice(1)) };
    return { issuer: issuer === '*' ? ANY_TEXT : suffixText(issuer.slice(1)), subject: exactText(subject) };
  }
  if (value.endsWith('*')) {
    if (slash < 0) return { issuer: prefixText(value.slice(0, -1)), subject: ANY_TEXT };
    return { issuer: exactText(issuer), subject: subject === '*' ? ANY_TEXT : prefixText(subject.slice(0, -1)) };
  }
  return { issuer: exactText(issuer), subject: exactText(subject) };
}

/**
 * Principals of one trust domain of the mesh mean those of all: `cluster.local` always stands for the mesh's own. A pattern over trust domains stays.
 * @see https://istio.io/latest/docs/tasks/security/authorization/authz-td-migration/
 */
function withAliases(values: readonly string[], trustDomains: readonly string[]): readonly string[] {
  return values.flatMap((value) => {
    const parts = value.split('/');
    const domain = parts[0]!;
    // Not of the form domain/ns/…/sa/…, or any domain: nothing to replace.
    if (trustDomains.length === 0 || parts.length !== 5 || domain === '*') return [value];
    const means = (own: string): boolean => (domain.startsWith('*') ? own.endsWith(domain.slice(1)) : own === domain);
    if (domain !== 'cluster.local' && !trustDomains.some(means)) return [value];
    const rest = parts.slice(1).join('/');
    return [...new Set(trustDomains.map((own) => (means(own) ? value : `${own}/${rest}`)))];
  });
}
