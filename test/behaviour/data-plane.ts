/** One proxy under test as a process: what `pilot-agent proxy` runs, with certificates from files instead of a CA. Arguments: a JSON of {@link DataPlaneArguments}. */
import { readFileSync } from 'node:fs';
import { Watchable } from '../../src/base/watchable.ts';
import { setLogLevel, setLogSink } from '../../src/base/log.ts';
import { AgentSecretSource } from '../../src/agent/certificates/secret-source.ts';
import type { WorkloadCertificateManager } from '../../src/agent/certificates/workload-certificate.ts';
import { resolveSettings } from '../../src/agent/settings.ts';
import { AgentMetrics } from '../../src/agent/status/metrics.ts';
import { startEnvoyDataPlane } from '../../src/programs/agent/envoy-data-plane.ts';
import { openNameService } from '../../src/programs/agent/name-service.ts';
import { startOwnDataPlane } from '../../src/programs/agent/own-data-plane.ts';
import type { TestIdentity } from './identities.ts';
import { PROXY_GROUP, type ProxyUnderTest } from './topology.ts';

export interface DataPlaneArguments {
  readonly kind: 'proxy' | 'envoy';
  readonly proxy: ProxyUnderTest;
  readonly discoveryPort: number;
  readonly envoyPath: string;
  /** Folder of this proxy's files. */
  readonly folder: string;
  readonly identity: TestIdentity;
  readonly rootPath: string;
}

const given = JSON.parse(process.argv[2] ?? '') as DataPlaneArguments;
const { proxy } = given;
setLogLevel('warn');
setLogSink((line) => process.stderr.write(line));

const env = {
  POD_NAME: proxy.name, POD_NAMESPACE: proxy.namespace, INSTANCE_IP: proxy.ip, SERVICE_ACCOUNT: proxy.name, ISTIO_META_WORKLOAD_NAME: proxy.name, ISTIO_META_CLUSTER_ID: 'Kubernetes',
  ISTIO_META_MESH_ID: 'cluster.local', XDS_ROOT_CA: given.rootPath, ENVOY_PROMETHEUS_PORT: String(proxy.prometheusPort), ENVOY_STATUS_PORT: String(proxy.readinessPort), ENVOY_BIN: given.envoyPath,
  MELTEMI_DATA_PLANE: given.kind === 'envoy' ? 'envoy' : 'meltemi',
  PROXY_CONFIG: JSON.stringify({ configPath: given.folder, proxyAdminPort: proxy.adminPort, statusPort: proxy.statusPort, discoveryAddress: `127.0.0.1:${given.discoveryPort}`, concurrency: 1, drainDuration: '2s' }),
};
const quoted = (entries: Readonly<Record<string, string>>): string => Object.entries(entries).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join('\n');
const files = new Map([['/etc/istio/pod/labels', quoted(proxy.labels)], ['/etc/istio/pod/annotations', quoted({ 'sidecar.istio.io/statsInclusionRegexps': '.*' })]]);
const settings = resolveSettings([proxy.role], env, (path) => files.get(path), [], 'behaviour', JSON.parse);

// From here on our connections, and those of Envoy, are the proxy's.
process.setgroups?.([PROXY_GROUP]);
process.setgid?.(PROXY_GROUP);

const certificate = new Watchable({ chainPem: given.identity.cert, privateKeyPem: given.identity.key, rootPem: readFileSync(given.rootPath, 'utf8'), notAfterMs: Date.now() + 3_600_000 });
const secrets = new AgentSecretSource({ certificate } as unknown as WorkloadCertificateManager, given.rootPath);
const metrics = new AgentMetrics();
for (const name of ['istio_agent_xds_proxy_requests', 'istio_agent_xds_proxy_responses', 'istio_agent_istiod_connection_terminations']) metrics.counter(name, '');
const context = {
  settings, secrets, metrics, version: 'behaviour', names: openNameService(settings, metrics),
  controlPlane: { address: settings.discoveryAddress, tokenPath: '/nowhere', rootPath: undefined },
};
const dataPlane = given.kind === 'envoy' ? await startEnvoyDataPlane(context) : await startOwnDataPlane(context);
void dataPlane.exited.then((code) => process.exit(code === 0 ? 1 : code));
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => {
    dataPlane.stop();
    setTimeout(() => process.exit(0), given.kind === 'envoy' ? 300 : 0);
  });
