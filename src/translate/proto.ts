import { create, toBinary, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { type Any, AnySchema, type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';
import { AddressSchema, CidrRangeSchema, SocketAddress_Protocol, type Address, type CidrRange } from '../xds/gen/envoy/config/core/v3/address_pb.ts';
import { ApiConfigSource_ApiType, ApiVersion, ConfigSourceSchema, type ConfigSource } from '../xds/gen/envoy/config/core/v3/config_source_pb.ts';
import { parseCidr } from '../model/hostname.ts';
import { SDS_CLUSTER } from './names.ts';

/** A message packed as Envoy wants its typed configs. */
export function pack<Desc extends DescMessage>(schema: Desc, init?: MessageInitShape<Desc>): Any {
  return create(AnySchema, { typeUrl: `type.googleapis.com/${schema.typeName}`, value: toBinary(schema, create(schema, init)) });
}

export function duration(ms: number): Duration {
  const seconds = Math.trunc(ms / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) });
}

export function socketAddress(address: string, port: number): Address {
  return create(AddressSchema, { address: { case: 'socketAddress', value: { protocol: SocketAddress_Protocol.TCP, address, portSpecifier: { case: 'portValue', value: port } } } });
}

/** A socket address, or a pipe for `unix://path`. */
export function endpointAddress(address: string, port: number): Address {
  if (address.startsWith('unix://')) return create(AddressSchema, { address: { case: 'pipe', value: { path: address.slice('unix://'.length) } } });
  return socketAddress(address, port);
}

/** A CIDR for filter chain matches; undefined when the text is none. */
export function cidrRange(text: string): CidrRange | undefined {
  const cidr = parseCidr(text);
  return cidr && create(CidrRangeSchema, { addressPrefix: cidr.address, prefixLen: cidr.prefix });
}

/** Served on the stream this resource came on. */
export function adsSource(): ConfigSource {
  return create(ConfigSourceSchema, { configSourceSpecifier: { case: 'ads', value: {} }, initialFetchTimeout: duration(0), resourceApiVersion: ApiVersion.V3 });
}

/** Served by the agent beside the proxy; our proxy answers it itself. */
export function sdsSource(): ConfigSource {
  return create(ConfigSourceSchema, {
    configSourceSpecifier: {
      case: 'apiConfigSource',
      value: {
        apiType: ApiConfigSource_ApiType.GRPC, transportApiVersion: ApiVersion.V3, setNodeOnFirstMessageOnly: true,
        grpcServices: [{ targetSpecifier: { case: 'envoyGrpc', value: { clusterName: SDS_CLUSTER } } }],
      },
    },
    initialFetchTimeout: duration(0), resourceApiVersion: ApiVersion.V3,
  });
}
