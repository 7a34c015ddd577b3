/** SotW requests repeat all names in every answer, and proxies of one mesh ask for the same ones: a list that was read before is not read again. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { decodeRequest, type IncomingRequest } from '../wire.ts';

/** `resource_names` of DiscoveryRequest. @see envoy/service/discovery/v3/discovery.proto */
const NAMES_FIELD = 3;
/** Below this, reading is cheaper than looking. */
const MIN_BYTES = 1024;
const MAX_LISTS = 64;
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
const SAMPLES = 64;

interface KnownList {
  readonly bytes: Buffer;
  readonly names: readonly string[];
}

const lists = new Map<string, KnownList>();
let keptBytes = 0;

/** What {@link decodeRequest} gives; equal lists of names are the same array. Throws on bytes that are no request. */
export function decodeSharedRequest(mode: 'sotw' | 'delta', bytes: Buffer): IncomingRequest {
  const place = mode === 'sotw' && bytes.length >= MIN_BYTES ? placeOfNames(bytes) : undefined;
  if (!place) return decodeRequest(mode, bytes);
  const own = bytes.subarray(place.from, place.to);
  const key = sampleOf(own);
  const known = lists.get(key);
  if (known?.bytes.equals(own)) {
    lists.delete(key);
    lists.set(key, known);
    return { ...decodeRequest(mode, Buffer.concat([bytes.subarray(0, place.from), bytes.subarray(place.to)])), names: known.names };
  }
  const request = decodeRequest(mode, bytes);
  keep(key, { bytes: Buffer.from(own), names: request.names });
  return request;
}

/** Where the names are, if they follow each other. */
function placeOfNames(bytes: Buffer): { readonly from: number; readonly to: number } | undefined {
  const reader = new BinaryReader(bytes);
  let from = -1;
  let to = -1;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, type] = reader.tag();
    reader.skip(type, field);
    if (field !== NAMES_FIELD || type !== WireType.LengthDelimited) continue;
    if (from >= 0 && start !== to) return undefined;
    if (from < 0) from = start;
    to = reader.pos;
  }
  return from < 0 ? undefined : { from, to };
}

/** Tells most lists apart; equality decides. */
function sampleOf(bytes: Buffer): string {
  let hash = 0;
  const step = Math.max(1, Math.floor(bytes.length / SAMPLES));
  for (let at = 0; at < bytes.length; at += step) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
  return `${bytes.length} ${hash}`;
}

function keep(key: string, list: KnownList): void {
  const before = lists.get(key);
  if (before) keptBytes -= before.bytes.length;
  lists.delete(key);
  lists.set(key, list);
  keptBytes += list.bytes.length;
  for (const [oldKey, old] of lists) {
    if (lists.size <= MAX_LISTS && keptBytes <= MAX_KEPT_BYTES) break;
    lists.delete(oldKey);
    keptBytes -= old.bytes.length;
  }
}
