/** Discovery messages between bytes and the state machines' words. Throws on bytes that are no such message. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { TYPE_URL, type EncodedResource } from './ads.ts';
import type { Locality as ProtoLocality } from './gen/envoy/config/core/v3/base_pb.ts';
import { NodeSchema, type Node } from './gen/envoy/config/core/v3/base_pb.ts';
import { DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema, DiscoveryRequestSchema, DiscoveryResponseSchema } from './gen/envoy/service/discovery/v3/discovery_pb.ts';

/** gRPC paths of the aggregated discovery service. */
export const ADS_PATH = {
  sotw: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
  delta: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
} as const;

/** gRPC code of a NACK's error_detail. */
const INVALID_ARGUMENT = 3;

/** How a proxy introduces itself: the xDS Node without what nobody reads. */
export interface NodeInfo {
  readonly id: string;
  readonly cluster: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
  /** Names of the extensions the proxy is built with; empty when it does not say. */
  readonly extensions: readonly string[];
  /** Full names of the messages that configure them, as far as the proxy says. */
  readonly extensionTypes?: readonly string[];
  readonly userAgentName: string;
  readonly userAgentVersion: string;
}

/** A discovery request of either protocol, as the server reads it. */
export interface IncomingRequest {
  readonly node: NodeInfo | undefined;
  readonly typeUrl: string;
  readonly responseNonce: string;
  /** Text of error_detail; undefined for anything but a NACK. */
  readonly error: string | undefined;
  /** SotW: all names. Delta: names to add. */
  readonly names: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly initialVersions: ReadonlyMap<string, string>;
}

export function decodeRequest(mode: 'sotw' | 'delta', bytes: Uint8Array): IncomingRequest {
  if (mode === 'delta') {
    const message = fromBinary(DeltaDiscoveryRequestSchema, bytes);
    return { ...shared(message), names: message.resourceNamesSubscribe, unsubscribe: message.resourceNamesUnsubscribe, initialVersions: new Map(Object.entries(message.initialResourceVersions)) };
  }
  const message = fromBinary(DiscoveryRequestSchema, bytes);
  return { ...shared(message), names: message.resourceNames, unsubscribe: [], initialVersions: new Map() };
}

function shared(message: { node?: Node | undefined; typeUrl: string; responseNonce: string; errorDetail?: { message: string } | undefined }): Pick<IncomingRequest, 'node' | 'typeUrl' | 'responseNonce' | 'error'> {
  return { node: message.node && nodeInfoOf(message.node), typeUrl: message.typeUrl, responseNonce: message.responseNonce, error: message.errorDetail && (message.errorDetail.message || 'no reason given') };
}

/** Reads an xDS Node. */
export function nodeInfoOf(node: Node): NodeInfo {
  const version = node.userAgentVersionType;
  return {
    id: node.id,
    cluster: node.cluster,
    metadata: node.metadata ?? {},
    locality: localityOf(node.locality),
    extensions: node.extensions.map((extension) => extension.name),
    extensionTypes: [...new Set(node.extensions.flatMap((extension) => extension.typeUrls))],
    userAgentName: node.userAgentName,
    userAgentVersion: version.case === 'userAgentVersion' ? version.value : '',
  };
}

function localityOf(locality: ProtoLocality | undefined): NodeInfo['locality'] {
  return { region: locality?.region ?? '', zone: locality?.zone ?? '', subZone: locality?.subZone ?? '' };
}

/** A response of the server. */
export interface OutgoingResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  readonly resources: readonly EncodedResource[];
  readonly removed: readonly string[];
}

export function encodeResponse(mode: 'sotw' | 'delta', response: OutgoingResponse): Uint8Array {
  const { typeUrl, nonce } = response;
  const anyOf = (resource: EncodedResource) => ({ typeUrl: resource.typeUrl, value: resource.value });
  if (mode === 'sotw') return toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { typeUrl, nonce, versionInfo: response.version, resources: response.resources.map(anyOf) }));
  return toBinary(
    DeltaDiscoveryResponseSchema,
    create(DeltaDiscoveryResponseSchema, {
      typeUrl,
      nonce,
      systemVersionInfo: response.version,
      resources: response.resources.map((resource) => ({ name: resource.name, version: resource.version, resource: anyOf(resource) })),
      removedResources: [...response.removed],
    }),
  );
}

/** A response as the client reads it. In SotW, resources carry no names: `nameOf` finds them, and the response's version stands for each. */
export function decodeResponse(mode: 'sotw' | 'delta', bytes: Uint8Array, nameOf: (resource: { typeUrl: string; value: Uint8Array }) => string): OutgoingResponse {
  if (mode === 'delta') {
    const message = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    const resources = message.resources.flatMap(({ name, version, resource }) => (resource ? [{ name, version, typeUrl: resource.typeUrl, value: resource.value }] : []));
    return { typeUrl: message.typeUrl, nonce: message.nonce, version: message.systemVersionInfo, resources, removed: message.removedResources };
  }
  const message = fromBinary(DiscoveryResponseSchema, bytes);
  const resources = message.resources.map(({ typeUrl, value }) => ({ name: nameOf({ typeUrl, value }), version: message.versionInfo, typeUrl, value }));
  return { typeUrl: message.typeUrl, nonce: message.nonce, version: message.versionInfo, resources, removed: [] };
}

/** A request of the client. `node` goes with the first request of a stream. */
export interface OutgoingRequest {
  readonly node?: NodeInfo;
  readonly typeUrl: string;
  readonly responseNonce: string;
  /** SotW: version of the last accepted response. */
  readonly versionInfo: string;
  readonly names: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly initialVersions: ReadonlyMap<string, string>;
  readonly error?: string;
}

/** A request that tells something and wants no answer. */
export function reportRequest(typeUrl: string, error: string | undefined): OutgoingRequest {
  return { typeUrl, responseNonce: '', versionInfo: '', names: [], unsubscribe: [], initialVersions: new Map(), ...(error !== undefined && { error }) };
}

export function encodeRequest(mode: 'sotw' | 'delta', request: OutgoingRequest): Uint8Array {
  const { typeUrl, responseNonce, error } = request;
  const common = { typeUrl, responseNonce, ...(request.node && { node: nodeMessage(request.node) }), ...(error !== undefined && { errorDetail: { code: INVALID_ARGUMENT, message: error } }) };
  if (mode === 'sotw') return toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, { ...common, versionInfo: request.versionInfo, resourceNames: [...request.names] }));
  const initialResourceVersions = Object.fromEntries([...request.initialVersions].filter(([name]) => name !== '__proto__'));
  return toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { ...common, resourceNamesSubscribe: [...request.names], resourceNamesUnsubscribe: [...request.unsubscribe], initialResourceVersions }));
}

function nodeMessage(node: NodeInfo): Node {
  return create(NodeSchema, {
    id: node.id,
    cluster: node.cluster,
    metadata: node.metadata as NonNullable<Node['metadata']>,
    locality: { ...node.locality },
    userAgentName: node.userAgentName,
    userAgentVersionType: { case: 'userAgentVersion', value: node.userAgentVersion },
    extensions: [...node.extensions.map((name) => ({ name })), ...(node.extensionTypes ? [{ name: 'meltemi.filters', typeUrls: [...node.extensionTypes] }] : [])],
  });
}

/** Short names of types (`CDS`) as status tables and metrics spell them; the type URL itself for others. */
export function shortTypeName(typeUrl: string): string {
  return SHORT_NAMES.get(typeUrl) ?? typeUrl;
}

const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  [TYPE_URL.cluster, 'CDS'],
  [TYPE_URL.endpoint, 'EDS'],
  [TYPE_URL.listener, 'LDS'],
  [TYPE_URL.route, 'RDS'],
  [TYPE_URL.secret, 'SDS'],
  [TYPE_URL.extensionConfig, 'ECDS'],
  [TYPE_URL.nameTable, 'NDS'],
]);
