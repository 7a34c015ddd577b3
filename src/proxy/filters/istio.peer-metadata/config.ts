import { fromBinary } from '@bufbuild/protobuf';
import { ConfigSchema } from '../../../xds/gen/istio/metadata/peer_metadata_pb.ts';
import type { Config_DiscoveryMethod, Config_PropagationMethod } from '../../../xds/gen/istio/metadata/peer_metadata_pb.ts';

/** Which way workload metadata is read and written as Istio headers. Other methods (baggage, workload discovery) belong to ambient mode and do nothing here. */
export interface PeerMetadataConfig {
  readonly readFromRequest: boolean;
  readonly readFromResponse: boolean;
  readonly writeToResponse: boolean;
  readonly writeToRequest: boolean;
  readonly skipExternalClusters: boolean;
}

export function parsePeerMetadata(bytes: Uint8Array): PeerMetadataConfig {
  const config = fromBinary(ConfigSchema, bytes);
  const discovers = (methods: readonly Config_DiscoveryMethod[]): boolean => methods.some((method) => method.methodSpecifier.case === 'istioHeaders');
  const headerMethod = (methods: readonly Config_PropagationMethod[]): Config_PropagationMethod['methodSpecifier'] | undefined => methods.find((method) => method.methodSpecifier.case === 'istioHeaders')?.methodSpecifier;
  const upstream = headerMethod(config.upstreamPropagation);
  return {
    readFromRequest: discovers(config.downstreamDiscovery),
    readFromResponse: discovers(config.upstreamDiscovery),
    writeToResponse: headerMethod(config.downstreamPropagation) !== undefined,
    writeToRequest: upstream !== undefined,
    skipExternalClusters: upstream?.case === 'istioHeaders' && upstream.value.skipExternalClusters,
  };
}
