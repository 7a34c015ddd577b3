import { create } from '@bufbuild/protobuf';
import { StringMatcherSchema, type StringMatcher } from '../xds/gen/envoy/type/matcher/v3/string_pb.ts';
import type { StringMatch } from '../model/virtual-service.ts';

/** Envoy's matcher for a match; undefined for "present", which is no string match. */
export function stringMatcher(match: StringMatch, ignoreCase = false): StringMatcher | undefined {
  switch (match.kind) {
    case 'exact': return create(StringMatcherSchema, { matchPattern: { case: 'exact', value: match.value }, ignoreCase });
    case 'prefix': case 'segment-prefix': return create(StringMatcherSchema, { matchPattern: { case: 'prefix', value: match.value }, ignoreCase });
    case 'regex': return create(StringMatcherSchema, { matchPattern: { case: 'safeRegex', value: { regex: match.value } } });
    case 'present': return undefined;
  }
}
