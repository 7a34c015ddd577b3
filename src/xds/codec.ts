/** Resources to bytes and back: Any, the resource types of the discovery protocol, versions. JSON with `@type` is in registry.ts, which is heavier. */
import { createHash } from 'node:crypto';
import { fromBinary, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { anyUnpack, type Any } from '@bufbuild/protobuf/wkt';
import { ClusterSchema, type Cluster } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { TypedExtensionConfigSchema, type TypedExtensionConfig } from './gen/envoy/config/core/v3/extension_pb.ts';
import { ClusterLoadAssignmentSchema, type ClusterLoadAssignment } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema, type Listener } from './gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteConfigurationSchema, type RouteConfiguration } from './gen/envoy/config/route/v3/route_pb.ts';
import { SecretSchema, type Secret } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import { NameTableSchema, type NameTable } from './gen/istio/nds/nds_pb.ts';
import { TYPE_URL, type EncodedResource, type TypeUrl } from './ads.ts';

const TYPE_URL_PREFIX = 'type.googleapis.com/';

/** A message that is delivered as an xDS resource of its own. */
export type ResourceMessage = Cluster | ClusterLoadAssignment | Listener | RouteConfiguration | Secret | TypedExtensionConfig | NameTable;

/** How one resource type is encoded and where its name stands. */
interface ResourceKind {
  readonly schema: DescMessage;
  readonly nameOf: (message: never) => string;
}

const kind = <M>(schema: DescMessage, nameOf: (message: M) => string): ResourceKind => ({ schema, nameOf: nameOf as (message: never) => string });

const RESOURCE_KINDS: Readonly<Record<TypeUrl, ResourceKind>> = {
  [TYPE_URL.cluster]: kind<Cluster>(ClusterSchema, (m) => m.name),
  [TYPE_URL.endpoint]: kind<ClusterLoadAssignment>(ClusterLoadAssignmentSchema, (m) => m.clusterName),
  [TYPE_URL.listener]: kind<Listener>(ListenerSchema, (m) => m.name),
  [TYPE_URL.route]: kind<RouteConfiguration>(RouteConfigurationSchema, (m) => m.name),
  [TYPE_URL.secret]: kind<Secret>(SecretSchema, (m) => m.name),
  [TYPE_URL.extensionConfig]: kind<TypedExtensionConfig>(TypedExtensionConfigSchema, (m) => m.name),
  // A name table is the only one of its kind and has no name, as in Istio.
  [TYPE_URL.nameTable]: kind<NameTable>(NameTableSchema, () => ''),
};

/** Wraps a message into an Any (`type.googleapis.com/<full name>`). */
export function packAny<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Any {
  return { $typeName: 'google.protobuf.Any', typeUrl: TYPE_URL_PREFIX + schema.typeName, value: toBinary(schema, message) };
}

/**
 * The message inside an Any, or undefined when it holds another type or nothing.
 * Throws when the bytes are not a valid message of that type.
 */
export function unpackAny<Desc extends DescMessage>(any: Any | undefined, schema: Desc): MessageShape<Desc> | undefined {
  return any && anyUnpack(any, schema);
}

/**
 * Encodes one resource: name, bytes and a content hash as its version. Equal versions mean equal bytes; a translator must fill protobuf maps in a
 * fixed order, because they are written in the order of insertion.
 */
export function encodeResource(message: ResourceMessage): EncodedResource {
  const typeUrl = (TYPE_URL_PREFIX + message.$typeName) as TypeUrl;
  const { schema, nameOf } = RESOURCE_KINDS[typeUrl];
  const value = toBinary(schema, message);
  return { name: nameOf(message as never), typeUrl, value, version: hashOf(value) };
}

/** A resource whose bytes are there already. */
export function encodedFrom(typeUrl: TypeUrl, name: string, value: Uint8Array): EncodedResource {
  return { name, typeUrl, value, version: hashOf(value) };
}

/** Every resource type has its name (or its cluster's) in the first field. */
const NAME_FIELD = 1;

/** The name inside an encoded resource, found without decoding the rest; '' for types that have none. Throws on bytes that are no message. */
export function nameInBytes(resource: { readonly typeUrl: string; readonly value: Uint8Array }): string {
  if (resource.typeUrl === TYPE_URL.nameTable) return '';
  const reader = new BinaryReader(resource.value);
  let name = '';
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === NAME_FIELD && type === WireType.LengthDelimited) name = reader.string();
    else reader.skip(type, field);
  }
  return name;
}

/** The message of an encoded resource. Throws for a type URL outside {@link TYPE_URL} and for bytes that are not a valid message. */
export function decodeResource(resource: Pick<EncodedResource, 'typeUrl' | 'value'>): ResourceMessage {
  const known = Object.hasOwn(RESOURCE_KINDS, resource.typeUrl) ? RESOURCE_KINDS[resource.typeUrl as TypeUrl] : undefined;
  if (!known) throw new Error(`unknown resource type ${resource.typeUrl}`);
  return fromBinary(known.schema, resource.value) as ResourceMessage;
}

/** Short content hash (96 bits of SHA-256, hexadecimal). */
export function hashOf(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 24);
}
