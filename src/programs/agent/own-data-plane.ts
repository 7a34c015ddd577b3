// Our own proxy as data plane, in the agent's process.
import { createLogger } from '../../base/log.ts';
import { TYPE_URL } from '../../xds/ads.ts';
import { createAdsClient } from '../../xds/client/ads-client.ts';
import { channelOptions } from '../../agent/certificates/ca-client.ts';
import type { DataPlaneContext, RunningDataPlane } from './data-plane.ts';

const log = createLogger('xdsproxy');

/** Starts our proxy with its own discovery stream. */
export async function startOwnDataPlane({ settings, controlPlane, secrets, names, metrics, version }: DataPlaneContext): Promise<RunningDataPlane> {
  const { identity } = settings;
  const ads = createAdsClient({
    ...channelOptions(controlPlane), tokenPath: controlPlane.tokenPath,
    node: { ...identity, extensions: [], userAgentName: 'meltemi', userAgentVersion: version },
    onEvent: (event) => {
      if (event.kind === 'accepted' || event.kind === 'refused') metrics.count('istio_agent_xds_proxy_responses');
      if (event.kind === 'disconnected') {
        metrics.count('istio_agent_istiod_connection_terminations');
        log.warn('no stream to the control plane', { reason: event.reason, retryInMs: event.retryInMs });
      }
      if (event.kind === 'connected') log.info('connected to the control plane', { address: controlPlane.address });
      if (event.kind === 'refused') log.warn('refused a configuration', { type: event.typeUrl, reason: event.message });
    },
  });
  secrets.useControlPlane(ads);
  if (names.onNameTable) ads.subscribeAll(TYPE_URL.nameTable, names.onNameTable);
  throw new Error('the proxy is not linked in yet; run with MELTEMI_DATA_PLANE=envoy');
}
