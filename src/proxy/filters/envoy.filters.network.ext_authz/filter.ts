import { fromBinary } from '@bufbuild/protobuf';
import { ExtAuthzSchema } from '../../../xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.ts';
import { connectionAttributes } from '../../authorization/attributes.ts';
import { checkByGrpc, compileGrpcTarget } from '../../authorization/grpc-check.ts';
import { compileMetadataMatcher, mergeMetadata } from '../dynamic-metadata.ts';
import { PASS, type NetworkFilterFactory } from '../network-filter.ts';

/** Asks a gRPC authorizer about a connection. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/network_filters/ext_authz_filter */
export const extAuthzNetworkFilter: NetworkFilterFactory = {
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz',
  create(bytes) {
    const config = fromBinary(ExtAuthzSchema, bytes);
    if (config.grpcService === undefined) throw new Error('a gRPC service is needed');
    const target = compileGrpcTarget(config.grpcService);
    const enabled = config.filterEnabledMetadata === undefined ? () => true : compileMetadataMatcher(config.filterEnabledMetadata);
    const stat = `ext_authz.${config.statPrefix}${config.statPrefix.endsWith('.') ? '' : '.'}`;
    const options = { certificate: config.includePeerCertificate, tlsSession: config.includeTlsSession };
    return {
      onConnection(context) {
        if (!enabled(context.metadata)) return PASS;
        context.count(`${stat}total`);
        return {
          kind: 'wait',
          start: (resume) => checkByGrpc(target, context.sideCall, connectionAttributes(context.info, options), (response) => {
            if (typeof response === 'string') {
              context.count(`${stat}error`);
              if (!config.failureModeAllow) return resume({ kind: 'close', details: 'ext_authz_error', flag: 'UAEX' });
              context.count(`${stat}failure_mode_allowed`);
              return resume(PASS);
            }
            if (response.dynamicMetadata !== undefined) mergeMetadata(context.metadata, 'envoy.filters.network.ext_authz', response.dynamicMetadata);
            const allowed = (response.status?.code ?? 0) === 0;
            context.count(`${stat}${allowed ? 'ok' : 'denied'}`);
            resume(allowed ? PASS : { kind: 'close', details: 'ext_authz_denied', flag: 'UAEX' });
          }),
        };
      },
    };
  },
};
