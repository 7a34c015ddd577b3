/**
 * Protobuf JSON with `@type` expanded: what config dumps, EnvoyFilter patches and tools need. It loads all
 * generated code (several megabytes of memory), so a sidecar imports it only when somebody asks: `await import('…/xds/registry.ts')`.
 */
import { fromJson, toJson, type DescMessage, type JsonValue, type Message, type MessageShape } from '@bufbuild/protobuf';
import { anyUnpack, AnySchema, type Any } from '@bufbuild/protobuf/wkt';
import { decodeResource } from './codec.ts';
import type { EncodedResource } from './ads.ts';
import { typeRegistry } from './type-registry.ts';

export { typeRegistry };

/** The message inside an Any of any known type; undefined for unknown types. Throws when the bytes are broken. */
export function unpackAnyOfAnyType(any: Any): Message | undefined {
  return anyUnpack(any, typeRegistry);
}

/**
 * A message as Envoy's admin interface writes it: proto field names (`connect_timeout`), every Any as an object with `@type`.
 * Throws when an Any inside holds a type that is not in the registry.
 */
export function toEnvoyJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonValue {
  return toJson(schema, message, { registry: typeRegistry, useProtoFieldName: true });
}

/** Reads protobuf JSON (either field spelling). Throws with the field's path on unknown fields and wrong types. */
export function fromEnvoyJson<Desc extends DescMessage>(schema: Desc, json: JsonValue): MessageShape<Desc> {
  return fromJson(schema, json, { registry: typeRegistry });
}

/** One encoded resource as JSON with `@type` first, the way config dumps show it. */
export function resourceToJson(resource: Pick<EncodedResource, 'typeUrl' | 'value'>): JsonValue {
  const message = decodeResource(resource);
  const schema = typeRegistry.getMessage(message.$typeName);
  if (!schema) throw new Error(`type ${message.$typeName} is not generated`);
  return { '@type': resource.typeUrl, ...(toEnvoyJson(schema, message) as Record<string, JsonValue>) };
}

/** An Any as JSON with `@type`. Throws for unknown types. */
export function anyToJson(any: Any): JsonValue {
  return toEnvoyJson(AnySchema, any);
}
