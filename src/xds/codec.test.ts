import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { TYPE_URL } from './ads.ts';
import { decodeResource, encodeResource, packAny, unpackAny } from './codec.ts';
import { ClusterSchema, Cluster_DiscoveryType } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.ts';
import { HttpProtocolOptionsSchema } from './gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts';
import { RawBufferSchema } from './gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.ts';
import { resourceToJson } from './registry.ts';
import { typeRegistry } from './type-registry.ts';

const cluster = (name: string) =>
  create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.EDS },
    typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': packAny(HttpProtocolOptionsSchema, create(HttpProtocolOptionsSchema, {})) },
  });

describe('encodeResource', () => {
  it('gives equal bytes equal versions and other bytes other versions', () => {
    expect(encodeResource(cluster('a')).version).toBe(encodeResource(cluster('a')).version);
    expect(encodeResource(cluster('a')).version).not.toBe(encodeResource(cluster('b')).version);
  });

  it('survives the way there and back', () => {
    const encoded = encodeResource(cluster('outbound|80||a.b.svc.cluster.local'));
    expect(encoded).toMatchObject({ name: 'outbound|80||a.b.svc.cluster.local', typeUrl: TYPE_URL.cluster });
    expect(decodeResource(encoded)).toEqual(cluster('outbound|80||a.b.svc.cluster.local'));
  });

  it('refuses types that are no resources, also names of Object.prototype', () => {
    expect(() => decodeResource({ typeUrl: 'constructor', value: new Uint8Array() })).toThrow('unknown resource type');
  });
});

describe('Any', () => {
  it('unpacks only the type it holds', () => {
    const any = packAny(RawBufferSchema, create(RawBufferSchema, {}));
    expect(unpackAny(any, RawBufferSchema)).toBeDefined();
    expect(unpackAny(any, ListenerSchema)).toBeUndefined();
    expect(unpackAny(undefined, ListenerSchema)).toBeUndefined();
  });
});

describe('registry', () => {
  it('expands every Any in JSON', () => {
    expect(resourceToJson(encodeResource(cluster('x')))).toMatchObject({
      '@type': TYPE_URL.cluster,
      name: 'x',
      type: 'EDS',
      typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions' } },
    });
  });

  it('knows the types of Envoy, Istio and the status API', () => {
    for (const name of ['envoy.config.bootstrap.v3.Bootstrap', 'stats.PluginConfig', 'envoy.service.status.v3.ClientConfig', 'udpa.type.v1.TypedStruct', 'google.protobuf.Duration']) {
      expect(typeRegistry.getMessage(name), name).toBeDefined();
    }
  });
});
