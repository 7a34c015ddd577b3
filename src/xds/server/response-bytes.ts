/** Responses to bytes. Proxies that get the same resources get the same bytes, encoded once: only nonce and version differ. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { EncodedResource } from '../ads.ts';
import type { OutgoingResponse } from '../wire.ts';

/** Fields of DiscoveryResponse and DeltaDiscoveryResponse (which agree in these). @see envoy/service/discovery/v3/discovery.proto */
const FIELD = { version: 1, resources: 2, typeUrl: 4, nonce: 5, removed: 6 } as const;
/** Fields of Resource, and of google.protobuf.Any. */
const RESOURCE = { version: 1, resource: 2, name: 3 } as const;
const ANY = { typeUrl: 1, value: 2 } as const;

/** Resources encoded together: few enough that two long lists share most of their groups, enough that a group is worth finding. */
const GROUP = 128;
/** A larger value is sent from where it is instead of being copied. */
const COPIED_BYTES = 16 * 1024;
/** What is kept of groups, least recently used first out. */
const MAX_KEPT_BYTES = 32 * 1024 * 1024;

interface Group {
  readonly chunks: readonly Uint8Array[];
  /** Bytes that are held only by this cache. */
  readonly ownBytes: number;
}

const numbers = new WeakMap<EncodedResource, number>();
let lastNumber = 0;

function numberOf(resource: EncodedResource): number {
  let number = numbers.get(resource);
  if (number === undefined) numbers.set(resource, (number = ++lastNumber));
  return number;
}

const groups = new Map<string, Group>();
let keptBytes = 0;

/** The bytes of a response, in pieces to be written one after the other. Shared: nobody may write into them. */
export function responseChunks(mode: 'sotw' | 'delta', response: OutgoingResponse): readonly Uint8Array[] {
  const head = new BinaryWriter();
  if (response.version !== '') head.tag(FIELD.version, WireType.LengthDelimited).string(response.version);
  if (response.typeUrl !== '') head.tag(FIELD.typeUrl, WireType.LengthDelimited).string(response.typeUrl);
  if (response.nonce !== '') head.tag(FIELD.nonce, WireType.LengthDelimited).string(response.nonce);
  if (mode === 'delta') for (const name of response.removed) head.tag(FIELD.removed, WireType.LengthDelimited).string(name);
  const chunks: Uint8Array[] = [head.finish()];
  for (let index = 0; index < response.resources.length; index += GROUP) chunks.push(...groupChunks(mode, response.resources.slice(index, index + GROUP)));
  return chunks;
}

function groupChunks(mode: 'sotw' | 'delta', resources: readonly EncodedResource[]): readonly Uint8Array[] {
  const key = `${mode} ${resources.map(numberOf).join()}`;
  const known = groups.get(key);
  if (known) {
    groups.delete(key);
    groups.set(key, known);
    return known.chunks;
  }
  const made = encodeGroup(mode, resources);
  groups.set(key, made);
  keptBytes += made.ownBytes + key.length;
  for (const [oldKey, old] of groups) {
    if (keptBytes <= MAX_KEPT_BYTES) break;
    groups.delete(oldKey);
    keptBytes -= old.ownBytes + oldKey.length;
  }
  return made.chunks;
}

function encodeGroup(mode: 'sotw' | 'delta', resources: readonly EncodedResource[]): Group {
  const chunks: Uint8Array[] = [];
  let writer = new BinaryWriter();
  let ownBytes = 0;
  const close = () => {
    const bytes = writer.finish();
    if (bytes.length > 0) chunks.push(bytes);
    ownBytes += bytes.length;
    writer = new BinaryWriter();
  };
  for (const resource of resources) {
    writeHead(writer, mode, resource);
    if (resource.value.length <= COPIED_BYTES) writer.raw(resource.value);
    else {
      close();
      chunks.push(resource.value);
    }
  }
  close();
  return { chunks, ownBytes };
}

/** Everything of one resource but its value, which comes last. */
function writeHead(writer: BinaryWriter, mode: 'sotw' | 'delta', { name, version, typeUrl, value }: EncodedResource): void {
  const any = new BinaryWriter().tag(ANY.typeUrl, WireType.LengthDelimited).string(typeUrl).tag(ANY.value, WireType.LengthDelimited).uint32(value.length).finish();
  writer.tag(FIELD.resources, WireType.LengthDelimited);
  if (mode === 'sotw') {
    writer.uint32(any.length + value.length).raw(any);
    return;
  }
  const named = new BinaryWriter();
  if (name !== '') named.tag(RESOURCE.name, WireType.LengthDelimited).string(name);
  const head = named.tag(RESOURCE.version, WireType.LengthDelimited).string(version).tag(RESOURCE.resource, WireType.LengthDelimited).uint32(any.length + value.length).raw(any).finish();
  writer.uint32(head.length + value.length).raw(head);
}
