import { isObject, type JsonObject } from '../schema/values.ts';

/** Fields of metadata that servers write, not authors. */
const BY_SERVERS = ['managedFields', 'resourceVersion', 'uid', 'generation', 'creationTimestamp', 'selfLink'];
/** Annotations that tools write: kubectl's copy of the object, and where `analyze` read it. */
const BY_TOOLS = ['kubectl.kubernetes.io/last-applied-configuration', 'meltemi.dev/origin'];

/** The object without what servers and tools added: what its author can be shown. Anything but an object stays as it is. */
export function writtenPart(object: unknown): unknown {
  if (!isObject(object) || !isObject(object['metadata'])) return object;
  return { ...object, metadata: writtenMetadata(object['metadata']) };
}

export function writtenMetadata(metadata: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => !BY_SERVERS.includes(name)).flatMap(([name, value]) => {
    if (name !== 'annotations' || !isObject(value)) return [[name, value]];
    const annotations = Object.entries(value).filter(([key]) => !BY_TOOLS.includes(key));
    return annotations.length === 0 ? [] : [[name, Object.fromEntries(annotations)]];
  }));
}
