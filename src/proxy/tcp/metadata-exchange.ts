import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema, StructSchema } from '@bufbuild/protobuf/wkt';
import type { PeerMetadata } from '../../telemetry/traffic-record.ts';
import type { ProxyNode } from '../config/runtime.ts';
import { metadataOf, metadataStruct } from '../filters/istio.peer-metadata/metadata-codec.ts';

/** ALPN that both sides agree on to exchange metadata before anything else. */
export const EXCHANGE_ALPN = 'istio-peer-exchange';
const MAGIC = 0x3d230467;
const HEADER_BYTES = 8;
/** More is not metadata of a workload. */
const MAX_BYTES = 65_536;
const METADATA = 'x-envoy-peer-metadata';

const encoded = new WeakMap<ProxyNode, Buffer>();

/** What we send first: magic, length, an Any with a Struct of our metadata and id. @see Istio metadata_exchange network filter */
export function exchangeMessage(node: ProxyNode): Buffer {
  let message = encoded.get(node);
  if (message !== undefined) return message;
  const data = create(StructSchema, { fields: { [METADATA]: { kind: { case: 'structValue', value: metadataStruct(node) } }, [`${METADATA}-id`]: { kind: { case: 'stringValue', value: node.id } } } });
  const body = toBinary(AnySchema, create(AnySchema, { typeUrl: 'type.googleapis.com/google.protobuf.Struct', value: toBinary(StructSchema, data) }));
  message = Buffer.alloc(HEADER_BYTES + body.length);
  message.writeUInt32BE(MAGIC, 0);
  message.writeUInt32BE(body.length, 4);
  message.set(body, HEADER_BYTES);
  encoded.set(node, message);
  return message;
}

/** Reads the peer's message off the front of a connection. */
export class ExchangeReader {
  private bytes: Buffer = Buffer.alloc(0);
  peer: PeerMetadata | undefined;

  /** Undefined: more is needed. Otherwise the bytes that follow the message, or all of them when there is none. */
  feed(buffer: Buffer, start: number, end: number): Buffer | undefined {
    this.bytes = Buffer.concat([this.bytes, buffer.subarray(start, end)]);
    const { bytes } = this;
    if (bytes.length >= 4 && bytes.readUInt32BE(0) !== MAGIC) return bytes;
    if (bytes.length < HEADER_BYTES) return undefined;
    const length = bytes.readUInt32BE(4);
    if (length > MAX_BYTES) return bytes;
    if (bytes.length < HEADER_BYTES + length) return undefined;
    this.peer = decode(bytes.subarray(HEADER_BYTES, HEADER_BYTES + length));
    return bytes.subarray(HEADER_BYTES + length);
  }
}

function decode(body: Buffer): PeerMetadata | undefined {
  try {
    const { fields } = fromBinary(StructSchema, fromBinary(AnySchema, body).value);
    const value = Object.hasOwn(fields, METADATA) ? fields[METADATA] : undefined;
    return value?.kind.case === 'structValue' ? metadataOf(value.kind.value) : undefined;
  } catch {
    return undefined;
  }
}
