import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { MetadataMatcher } from '../../xds/gen/envoy/type/matcher/v3/metadata_pb.ts';
import type { ListMatcher, ValueMatcher } from '../../xds/gen/envoy/type/matcher/v3/value_pb.ts';
import { compileStringMatcher } from '../route/string-match.ts';

/** What filters tell each other of one request or connection, by the filter's name. Values are JSON whose keys came from the network: read them with {@link metadataValue}. */
export type DynamicMetadata = Map<string, JsonObject>;

/** The value at a path; undefined when there is none. Inherited properties are none. */
export function metadataValue(metadata: DynamicMetadata | undefined, filter: string, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = metadata?.get(filter);
  for (const key of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** Sets fields of one filter's metadata and leaves its others. */
export function mergeMetadata(metadata: DynamicMetadata, filter: string, fields: JsonObject): void {
  metadata.set(filter, { ...metadata.get(filter), ...fields });
}

/** @throws Error for matchers without a pattern. @see envoy.type.matcher.v3.MetadataMatcher */
export function compileMetadataMatcher(matcher: MetadataMatcher): (metadata: DynamicMetadata | undefined) => boolean {
  const { filter, invert } = matcher;
  const path = matcher.path.map(({ segment }) => {
    if (segment.case !== 'key') throw new Error('metadata matcher: a path segment without a key');
    return segment.value;
  });
  const test = compileValueMatcher(matcher.value);
  return (metadata) => test(metadataValue(metadata, filter, path)) !== invert;
}

/** @see envoy.type.matcher.v3.ValueMatcher */
export function compileValueMatcher(matcher: ValueMatcher | undefined): (value: JsonValue | undefined) => boolean {
  const pattern = matcher?.matchPattern;
  switch (pattern?.case) {
    case 'nullMatch':
      return (value) => value === null;
    case 'doubleMatch': {
      const { matchPattern } = pattern.value;
      if (matchPattern.case === 'exact') return (value) => value === matchPattern.value;
      if (matchPattern.case === 'range') return (value) => typeof value === 'number' && value >= matchPattern.value.start && value < matchPattern.value.end;
      throw new Error('double matcher without a pattern');
    }
    case 'stringMatch': {
      const test = compileStringMatcher(pattern.value);
      return (value) => typeof value === 'string' && test(value);
    }
    case 'boolMatch':
      return (value) => value === pattern.value;
    case 'presentMatch':
      return (value) => (value !== undefined && value !== null) === pattern.value;
    case 'listMatch':
      return compileListMatcher(pattern.value);
    case 'orMatch': {
      const tests = pattern.value.valueMatchers.map(compileValueMatcher);
      return (value) => tests.some((test) => test(value));
    }
    default:
      throw new Error('value matcher without a pattern');
  }
}

function compileListMatcher(matcher: ListMatcher): (value: JsonValue | undefined) => boolean {
  if (matcher.matchPattern.case !== 'oneOf') throw new Error('list matcher without a pattern');
  const test = compileValueMatcher(matcher.matchPattern.value);
  return (value) => Array.isArray(value) && value.some((item: JsonValue) => test(item));
}
