import type { CidrRange } from '../../xds/gen/envoy/config/core/v3/address_pb.ts';
import type { Permission, Principal } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts';
import type { HeaderMatcher } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { UriTemplateMatchConfigSchema } from '../../xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.ts';
import type { PathMatcher } from '../../xds/gen/envoy/type/matcher/v3/path_pb.ts';
import { unpackAny } from '../../xds/codec.ts';
import { eachWithin } from '../config/config-error.ts';
import { inPrefix } from '../listener/ip.ts';
import { compileHeaderMatcher, requestHeaderSource } from '../route/header-match.ts';
import { compileStringMatcher } from '../route/string-match.ts';
import { compileMetadataMatcher } from '../filters/dynamic-metadata.ts';
import { ipBytes, type AccessFacts } from './facts.ts';
import { compileUriTemplate } from './uri-template.ts';

export type Rule = (facts: AccessFacts) => boolean;

const ALWAYS: Rule = () => true;

/** @throws ConfigError or Error for rules that cannot be obeyed: a rule that is not understood must never be left out. @see envoy.config.rbac.v3.Permission */
export function compilePermission({ rule }: Permission): Rule {
  switch (rule.case) {
    case 'andRules':
      return every(eachWithin('and_rules.rules', rule.value.rules, compilePermission));
    case 'orRules':
      return some(eachWithin('or_rules.rules', rule.value.rules, compilePermission));
    case 'notRule':
      return not(compilePermission(rule.value));
    case 'any':
      return ALWAYS;
    case 'header':
      return compileHeader(rule.value);
    case 'urlPath':
      return compilePath(rule.value);
    case 'uriTemplate':
      return compileTemplate(rule.value);
    case 'destinationIp': {
      const matches = compileCidr(rule.value);
      return ({ connection }) => matches(connection.destinationIp);
    }
    case 'destinationPort':
      return ({ connection }) => connection.destinationPort === rule.value;
    case 'destinationPortRange':
      return ({ connection }) => connection.destinationPort >= rule.value.start && connection.destinationPort < rule.value.end;
    case 'metadata': {
      const matches = compileMetadataMatcher(rule.value);
      return ({ metadata }) => matches(metadata);
    }
    case 'requestedServerName': {
      const matches = compileStringMatcher(rule.value);
      return ({ connection }) => matches(connection.serverName);
    }
    default:
      throw new Error(rule.case === undefined ? 'a permission without a rule' : `permission ${rule.case} is not supported`);
  }
}

/** @throws ConfigError or Error for identifiers that cannot be obeyed. @see envoy.config.rbac.v3.Principal */
export function compilePrincipal({ identifier: id }: Principal): Rule {
  switch (id.case) {
    case 'andIds':
      return every(eachWithin('and_ids.ids', id.value.ids, compilePrincipal));
    case 'orIds':
      return some(eachWithin('or_ids.ids', id.value.ids, compilePrincipal));
    case 'notId':
      return not(compilePrincipal(id.value));
    case 'any':
      return ALWAYS;
    case 'authenticated': {
      if (id.value.principalName === undefined) return ({ connection }) => connection.secure;
      const matches = compileStringMatcher(id.value.principalName);
      return ({ connection }) => connection.secure && connection.peerNames.some(matches);
    }
    // The deprecated name of the connection's peer.
    case 'sourceIp':
    case 'directRemoteIp': {
      const matches = compileCidr(id.value);
      return ({ connection }) => matches(connection.directRemoteIp);
    }
    case 'remoteIp': {
      const matches = compileCidr(id.value);
      return ({ remoteIp }) => matches(ipBytes(remoteIp));
    }
    case 'header':
      return compileHeader(id.value);
    case 'urlPath':
      return compilePath(id.value);
    case 'metadata': {
      const matches = compileMetadataMatcher(id.value);
      return ({ metadata }) => matches(metadata);
    }
    default:
      throw new Error(id.case === undefined ? 'a principal without an identifier' : `principal ${id.case} is not supported`);
  }
}

function every(rules: readonly Rule[]): Rule {
  return rules.length === 1 ? rules[0]! : (facts) => rules.every((rule) => rule(facts));
}

function some(rules: readonly Rule[]): Rule {
  return rules.length === 1 ? rules[0]! : (facts) => rules.some((rule) => rule(facts));
}

function not(rule: Rule): Rule {
  return (facts) => !rule(facts);
}

function compileHeader(matcher: HeaderMatcher): Rule {
  const matches = compileHeaderMatcher(matcher);
  return ({ request }) => request !== undefined && matches(requestHeaderSource(request));
}

/** The path as it goes on, without query. */
function compilePath(matcher: PathMatcher): Rule {
  if (matcher.rule.case !== 'path') throw new Error('a path matcher without a path');
  const matches = compileStringMatcher(matcher.rule.value);
  return ({ request }) => request !== undefined && matches(pathOnly(request.path));
}

function compileTemplate(extension: Extract<Permission['rule'], { case: 'uriTemplate' }>['value']): Rule {
  const config = unpackAny(extension.typedConfig, UriTemplateMatchConfigSchema);
  if (config === undefined) throw new Error(`uri_template ${extension.name} (${extension.typedConfig?.typeUrl ?? 'no config'}) is not supported`);
  const matches = compileUriTemplate(config.pathTemplate);
  return ({ request }) => request !== undefined && matches(pathOnly(request.path));
}

function pathOnly(path: string): string {
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

function compileCidr({ addressPrefix, prefixLen }: CidrRange): (address: Uint8Array) => boolean {
  const prefix = ipBytes(addressPrefix);
  const length = prefixLen ?? 0;
  if (prefix.length === 0 || length > prefix.length * 8) throw new Error(`"${addressPrefix}/${length}" is not a CIDR range`);
  return (address) => inPrefix(address, prefix, length);
}
