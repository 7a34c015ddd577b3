import { resolve } from 'node:path';
import { buildBootstrap } from '../../agent/bootstrap/bootstrap.ts';
import type { AgentSettings } from '../../agent/settings.ts';

/** The bootstrap of this agent's proxy: Envoy starts from it, our own proxy shows it in its config dump. */
export function bootstrapOf(settings: AgentSettings, xdsSocket: string, sdsSocket: string): Readonly<Record<string, unknown>> {
  const { identity, proxyConfig, ports } = settings;
  const instanceIps = String(identity.metadata['INSTANCE_IPS'] ?? settings.podIp).split(',');
  return buildBootstrap({
    identity, proxyConfig, instanceIps, xdsSocket, sdsSocket,
    annotations: (identity.metadata['ANNOTATIONS'] as Readonly<Record<string, string>> | undefined) ?? {},
    ipv6Only: instanceIps.every((ip) => ip.includes(':')),
    dualStack: process.env['ISTIO_DUAL_STACK'] === 'true' && instanceIps.some((ip) => ip.includes(':')) && instanceIps.some((ip) => !ip.includes(':')),
    hostIp: process.env['HOST_IP'] ?? '',
    prometheusPort: ports.prometheus, readinessPort: ports.readiness, secureMetricsPort: 0, secureMergedMetricsPort: 0,
    outlierLogPath: '', lightstepTokenPath: resolve('/', proxyConfig.configPath, 'lightstep_access_token.txt'), compliancePolicy: process.env['COMPLIANCE_POLICY'] ?? '',
    socketMark: settings.socketMark, countActiveConnections: settings.exitOnZeroActiveConnections, meta: identity.metadata,
  });
}
