import { clone, fromBinary, toBinary, type DescField, type DescMessage, type Message, type MessageShape } from '@bufbuild/protobuf';
import { reflect, type ReflectList, type ReflectMap, type ReflectMessage } from '@bufbuild/protobuf/reflect';
import type { Any } from '@bufbuild/protobuf/wkt';
import { typeRegistry } from '../../xds/type-registry.ts';

/** `append`: lists grow, as protobuf merges; `replace`: lists the patch names replace those there are (MERGE_AND_REPLACE_LIST). */
export type ListMerge = 'append' | 'replace';

/**
 * Merges a patch into a message the way protobuf does: set scalars win, messages merge, lists grow, map entries replace. Durations and the boxed scalars
 * replace as wholes, so that `0s` and `false` can be said.
 * @see https://protobuf.dev/reference/go/faq (proto.Merge); durations as Istio's merge package treats them
 */
export function mergeInto<Desc extends DescMessage>(schema: Desc, target: MessageShape<Desc>, patch: MessageShape<Desc>, lists: ListMerge = 'append'): void {
  mergeReflected(reflect(schema, target), reflect(schema, clone(schema, patch)), lists);
}

/** Messages that are one value. */
const WHOLE = new Set(['google.protobuf.Duration', 'google.protobuf.Timestamp', 'google.protobuf.Any', 'google.protobuf.Value', 'google.protobuf.ListValue']);

function isWhole(message: DescMessage): boolean {
  return WHOLE.has(message.typeName) || /^google\.protobuf\.\w+Value$/.test(message.typeName);
}

function mergeReflected(target: ReflectMessage, patch: ReflectMessage, lists: ListMerge): void {
  for (const field of patch.fields) if (patch.isSet(field)) mergeField(target, patch, field, lists);
}

function mergeField(target: ReflectMessage, patch: ReflectMessage, field: DescField, lists: ListMerge): void {
  switch (field.fieldKind) {
    case 'list': {
      const into = target.get(field) as ReflectList;
      if (lists === 'replace') into.clear();
      for (const item of patch.get(field) as ReflectList) into.add(item);
      return;
    }
    case 'map': {
      const into = target.get(field) as ReflectMap;
      for (const [key, value] of patch.get(field) as ReflectMap) into.set(key, value);
      return;
    }
    case 'message': {
      const value = patch.get(field) as ReflectMessage;
      if (isWhole(field.message) || !target.isSet(field)) {
        target.set(field, value);
        return;
      }
      const inner = target.get(field) as ReflectMessage;
      mergeReflected(inner, value, lists);
      target.set(field, inner);
      return;
    }
    default:
      target.set(field, patch.get(field));
  }
}

/** Two configs in Any of the same type → one. A sentence when they are of different types, or of a type nobody knows. */
export function mergeAny(target: Any, patch: Any, lists: ListMerge): Any | string {
  const name = (any: Any) => any.typeUrl.slice(any.typeUrl.lastIndexOf('/') + 1);
  if (name(target) !== name(patch)) return `the patch is a ${name(patch)}, what is there is a ${name(target)}`;
  const schema = typeRegistry.getMessage(name(target));
  if (!schema) return `messages of type ${name(target)} are not known`;
  const merged: Message = fromBinary(schema, target.value);
  mergeInto(schema, merged, fromBinary(schema, patch.value), lists);
  return { ...target, value: toBinary(schema, merged) };
}
