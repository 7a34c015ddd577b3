import { fromBinary } from '@bufbuild/protobuf';
import { ConnectionLimitSchema } from '../../../xds/gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.ts';
import { durationMs } from '../../config/scalars.ts';
import { PASS, type NetworkFilterFactory, type NetworkVerdict } from '../network-filter.ts';

/** Refuses connections while as many as allowed are open. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/network_filters/connection_limit_filter */
export const connectionLimitFilter: NetworkFilterFactory = {
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit',
  create(bytes) {
    const config = fromBinary(ConnectionLimitSchema, bytes);
    const limit = Number(config.maxConnections ?? 0n);
    if (limit < 1) throw new Error('connection_limit: max_connections must be at least 1');
    const enabled = config.runtimeEnabled?.defaultValue ?? true;
    const delayMs = durationMs(config.delay) ?? 0;
    const refusal: NetworkVerdict = { kind: 'close', details: '', flag: 'URX' };
    let active = 0;
    return {
      onConnection(context) {
        if (!enabled) return PASS;
        if (active < limit) {
          active++;
          context.onClose(() => void active--);
          return PASS;
        }
        context.count(`connection_limit.${config.statPrefix}.limited_connections`);
        if (delayMs === 0) return refusal;
        // A client that is refused at once comes back at once.
        return {
          kind: 'wait',
          start: (resume) => {
            const timer = setTimeout(() => resume(refusal), delayMs);
            return () => clearTimeout(timer);
          },
        };
      },
    };
  },
};
