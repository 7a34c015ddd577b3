import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { CidrRange } from '../../xds/gen/envoy/config/core/v3/address_pb.ts';
import { PermissionSchema, PrincipalSchema, type Permission, type Principal } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts';
import { HeaderMatcherSchema, type HeaderMatcher } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { MetadataMatcherSchema, type MetadataMatcher } from '../../xds/gen/envoy/type/matcher/v3/metadata_pb.ts';
import { StringMatcherSchema, type StringMatcher } from '../../xds/gen/envoy/type/matcher/v3/string_pb.ts';
import { ValueMatcherSchema, type ValueMatcher } from '../../xds/gen/envoy/type/matcher/v3/value_pb.ts';
import { cidrRange } from '../proto.ts';

/** What a rule cannot say on this kind of connection, or says wrongly. Caught where the rule is built, which drops or widens it. */
export class RuleProblem extends Error {
  override name = 'RuleProblem';
}

export function permission(rule: MessageInitShape<typeof PermissionSchema>['rule']): Permission {
  return create(PermissionSchema, { rule: rule! });
}

export function principal(identifier: MessageInitShape<typeof PrincipalSchema>['identifier']): Principal {
  return create(PrincipalSchema, { identifier: identifier! });
}

export function exactText(value: string, ignoreCase = false): StringMatcher {
  return create(StringMatcherSchema, { matchPattern: { case: 'exact', value }, ignoreCase });
}

export function prefixText(value: string, ignoreCase = false): StringMatcher {
  return create(StringMatcherSchema, { matchPattern: { case: 'prefix', value }, ignoreCase });
}

export function suffixText(value: string, ignoreCase = false): StringMatcher {
  return create(StringMatcherSchema, { matchPattern: { case: 'suffix', value }, ignoreCase });
}

export function regexText(regex: string): StringMatcher {
  return create(StringMatcherSchema, { matchPattern: { case: 'safeRegex', value: { regex } } });
}

/** Any text but the empty one. */
export const ANY_TEXT: StringMatcher = regexText('.+');

/** Istio's `exact`, `prefix*`, `*suffix` and `*` (present and not empty). */
export function textMatcher(value: string, ignoreCase = false): StringMatcher {
  if (value === '*') return ANY_TEXT;
  if (value.startsWith('*')) return suffixText(value.slice(1), ignoreCase);
  if (value.endsWith('*')) return prefixText(value.slice(0, -1), ignoreCase);
  return exactText(value, ignoreCase);
}

/** The text as a pattern of itself. */
export function quoteRegex(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}

/** The text as a pattern in which `*` stands for `wild`. */
export function quoteWildcards(text: string, wild: string): string {
  return text.split('*').map(quoteRegex).join(wild);
}

/** A header by Istio's string forms; `*` asks only for its presence. */
export function headerMatcher(name: string, value: string, ignoreCase = false): HeaderMatcher {
  return create(HeaderMatcherSchema, { name, headerMatchSpecifier: value === '*' ? { case: 'presentMatch', value: true } : { case: 'stringMatch', value: textMatcher(value, ignoreCase) } });
}

export function textValue(matcher: StringMatcher): ValueMatcher {
  return create(ValueMatcherSchema, { matchPattern: { case: 'stringMatch', value: matcher } });
}

/** Any of the matchers; the only one stands alone. */
export function anyValue(valueMatchers: readonly ValueMatcher[]): ValueMatcher {
  return valueMatchers.length === 1 ? valueMatchers[0]! : create(ValueMatcherSchema, { matchPattern: { case: 'orMatch', value: { valueMatchers: [...valueMatchers] } } });
}

/** A list one item of which matches. */
export function listValue(item: ValueMatcher): ValueMatcher {
  return create(ValueMatcherSchema, { matchPattern: { case: 'listMatch', value: { matchPattern: { case: 'oneOf', value: item } } } });
}

export function metadataMatcher(filter: string, path: readonly string[], value: ValueMatcher): MetadataMatcher {
  return create(MetadataMatcherSchema, { filter, path: path.map((key) => ({ segment: { case: 'key' as const, value: key } })), value });
}

/** @throws RuleProblem for text that is no address or CIDR. */
export function addressRange(text: string): CidrRange {
  const range = cidrRange(text);
  if (!range) throw new RuleProblem(`"${text}" is not an IP address or CIDR`);
  return range;
}

/** @throws RuleProblem for anything but a port number. */
export function portNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new RuleProblem(`"${text}" is not a port`);
  return Number(text);
}
