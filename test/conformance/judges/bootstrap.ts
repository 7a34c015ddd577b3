// The bootstrap corpus: Envoy's bootstrap as the agent writes it, as protobuf JSON.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { buildBootstrap } from '../../../src/agent/bootstrap/bootstrap.ts';
import { buildProxyIdentity } from '../../../src/agent/node-metadata.ts';
import { parseAgentProxyConfig } from '../../../src/agent/proxy-config.ts';
import { type Judge, sameData } from '../judge.ts';

interface BootstrapCase {
  readonly proxyConfig: string;
  readonly node: { readonly id: string; readonly instanceIPs: readonly string[]; readonly version: string };
  readonly env: Readonly<Record<string, string>>;
  readonly podLabels: Readonly<Record<string, string>>;
  readonly podAnnotations: Readonly<Record<string, string>>;
  readonly agent: {
    readonly pilotSubjectAltName: readonly string[];
    readonly outlierLogPath: string;
    readonly envoyPrometheusPort: number;
    readonly envoyStatusPort: number;
    readonly envoySecureMetricsPort: number;
    readonly envoySecureMergedMetricsPort: number;
    readonly workloadIdentitySocketFile: string;
    readonly compliancePolicy?: string;
  };
  readonly compareLocality: boolean;
  readonly expected: string;
}

/** Protobuf JSON in one spelling: a TypedStruct is its value, durations are seconds, lists of patterns are sets. */
function comparable(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    const list = value.map((item) => comparable(item));
    return key === 'patterns' ? list.map((item) => JSON.stringify(item)).sort() : list;
  }
  if (typeof value === 'string' && /^\d+(\.\d+)?s$/.test(value)) return `${Number(value.slice(0, -1))}s`;
  if (typeof value !== 'object' || value === null) return value;
  const map = value as Record<string, unknown>;
  if (String(map['@type']).endsWith('TypedStruct')) return comparable({ '@type': map['type_url'], ...(map['value'] as object) });
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, comparable(member, name)]));
}

export const judge: Judge = {
  corpus: 'bootstrap',
  run: async (caseDir, caseJson) => {
    const data = caseJson as BootstrapCase;
    const proxyConfig = parseAgentProxyConfig(readFileSync(join(caseDir, data.proxyConfig), 'utf8'), parse, {});
    const { agent } = data;
    const identity = buildProxyIdentity({
      id: data.node.id, env: data.env, podLabels: data.podLabels, podAnnotations: data.podAnnotations, instanceIps: data.node.instanceIPs, proxyConfig,
      agent: {
        ISTIO_VERSION: data.env['ISTIO_META_ISTIO_VERSION'] ?? data.node.version, ENVOY_PROMETHEUS_PORT: agent.envoyPrometheusPort, ENVOY_STATUS_PORT: agent.envoyStatusPort,
        ENVOY_SECURE_METRICS_PORT: agent.envoySecureMetricsPort || undefined, ENVOY_SECURE_MERGED_METRICS_PORT: agent.envoySecureMergedMetricsPort || undefined,
        OUTLIER_LOG_PATH: agent.outlierLogPath, PILOT_SAN: agent.pilotSubjectAltName, WORKLOAD_IDENTITY_SOCKET_FILE: agent.workloadIdentitySocketFile, METADATA_DISCOVERY: 'false',
      },
    });
    const actual = comparable(buildBootstrap({
      identity, proxyConfig, annotations: data.podAnnotations, instanceIps: data.node.instanceIPs, ipv6Only: data.node.instanceIPs.length > 0 && data.node.instanceIPs.every((ip) => ip.includes(':')), hostIp: data.env['HOST_IP'] ?? '',
      prometheusPort: agent.envoyPrometheusPort, readinessPort: agent.envoyStatusPort, secureMetricsPort: agent.envoySecureMetricsPort, secureMergedMetricsPort: agent.envoySecureMergedMetricsPort,
      xdsSocket: '/tmp/XDS', sdsSocket: `./var/run/secrets/workload-spiffe-uds/${agent.workloadIdentitySocketFile}`, outlierLogPath: agent.outlierLogPath,
      lightstepTokenPath: '/test-path/lightstep_access_token.txt', compliancePolicy: agent.compliancePolicy ?? '', socketMark: 0, countActiveConnections: false, meta: identity.metadata,
    })) as { node: { locality?: unknown } };
    const expected = comparable(JSON.parse(readFileSync(join(caseDir, data.expected), 'utf8'))) as { node: { locality?: unknown } };
    if (!data.compareLocality) for (const one of [actual, expected]) delete one.node.locality;
    return sameData(actual, expected);
  },
};
