// Envoy as data plane: sockets for its discovery and secrets, its bootstrap, the process.
import { resolve } from 'node:path';
import { startEnvoy } from '../../agent/envoy/envoy-process.ts';
import { openSdsServer } from '../../agent/envoy/sds-server.ts';
import { openXdsProxy } from '../../agent/envoy/xds-proxy.ts';
import { adminControl } from '../../agent/status/admin-client.ts';
import { bootstrapOf } from './bootstrap-of.ts';
import type { DataPlaneContext, RunningDataPlane } from './data-plane.ts';

/** Starts Envoy below the agent. */
export async function startEnvoyDataPlane({ settings, controlPlane, secrets, names, metrics }: DataPlaneContext): Promise<RunningDataPlane> {
  const { proxyConfig } = settings;
  // Paths of the configuration are relative to the root folder, where Istio's image starts.
  const configDirectory = resolve('/', proxyConfig.configPath);
  const xdsSocket = resolve(configDirectory, 'XDS');
  const sdsSocket = '/var/run/secrets/workload-spiffe-uds/socket';
  const [sds, xds] = await Promise.all([
    openSdsServer(sdsSocket, secrets),
    openXdsProxy(xdsSocket, {
      controlPlane, onNameTable: names.onNameTable,
      onEvent: (event) => {
        if (event === 'request') metrics.count('istio_agent_xds_proxy_requests');
        if (event === 'response') metrics.count('istio_agent_xds_proxy_responses');
        if (event === 'disconnected') metrics.count('istio_agent_istiod_connection_terminations');
      },
    }),
  ]);
  const bootstrap = bootstrapOf(settings, xdsSocket, sdsSocket);
  const envoy = startEnvoy({
    binary: settings.envoyPath, configDirectory, bootstrap, logLevel: settings.proxyLogLevel, componentLogLevel: settings.proxyComponentLogLevel,
    // Where nobody says anything, what Istio's default CPU limit of a proxy would give.
    concurrency: settings.concurrency.source === 'nobody' ? 2 : settings.concurrency.workers, drainSeconds: Math.round(proxyConfig.drainDurationMs / 1000), parentShutdownSeconds: 0,
  });
  return {
    control: adminControl(proxyConfig.proxyAdminPort),
    exited: envoy.exited,
    report: (typeUrl, error) => xds.report(typeUrl, error),
    stop: () => {
      envoy.terminate();
      sds.close();
      xds.close();
    },
  };
}
