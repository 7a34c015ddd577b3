/** The JSON of stored objects, encoded once: lists and watches only put pieces together. */
import type { KubeObject } from '../../../objects/meta.ts';

const kept = new WeakMap<KubeObject, Buffer>();
/** Longer texts (definitions) are asked for rarely and not kept. */
const MAX_KEPT_BYTES = 32 * 1024;

/** The bytes of an object that does not change any more. */
export function encodedOf(object: KubeObject): Buffer {
  let bytes = kept.get(object);
  if (bytes === undefined) keepEncoded(object, (bytes = encode(object)));
  return bytes;
}

/** JSON in memory of its own: parts of a shared pool would keep the whole pool. */
export function encode(value: unknown): Buffer {
  const text = JSON.stringify(value);
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

/** Takes bytes that somebody else has encoded. */
export function keepEncoded(object: KubeObject, bytes: Buffer): void {
  if (bytes.length <= MAX_KEPT_BYTES) kept.set(object, bytes);
}
