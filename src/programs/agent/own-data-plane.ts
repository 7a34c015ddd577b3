// Our own proxy as data plane, in the agent's process.
import { availableParallelism } from 'node:os';
import { createLogger } from '../../base/log.ts';
import type { Unsubscribe } from '../../base/watchable.ts';
import { oneCoreNotice } from '../../agent/concurrency.ts';
import { channelOptions } from '../../agent/certificates/ca-client.ts';
import type { ProxyControl } from '../../agent/status/admin-client.ts';
import { createPrometheusServer, createReadinessServer } from '../../agent/status/local-listeners.ts';
import type { AgentSettings } from '../../agent/settings.ts';
import { Admin } from '../../proxy/admin/server.ts';
import type { ProxyNode } from '../../proxy/config/runtime.ts';
import { startProxy, type Proxy } from '../../proxy/start.ts';
import { SUPPORTED_TYPES } from '../../proxy/supported-types.ts';
import { TYPE_URL, type ReportingAdsClient } from '../../xds/ads.ts';
import { createAdsClient } from '../../xds/client/ads-client.ts';
import type { SecretSource, TlsSecret } from '../../xds/secret-source.ts';
import { bootstrapOf } from './bootstrap-of.ts';
import type { DataPlaneContext, RunningDataPlane } from './data-plane.ts';
import { listen } from './listen.ts';

const log = createLogger('xdsproxy');

/** Starts our proxy with a discovery stream, the admin interface and the ports beside it. */
export async function startOwnDataPlane(context: DataPlaneContext): Promise<RunningDataPlane> {
  const { settings, secrets, names, version } = context;
  const notice = oneCoreNotice(settings.concurrency, availableParallelism());
  if (notice !== undefined) log.warn(notice);
  const ads = openDiscovery(context);
  secrets.useControlPlane(ads);
  if (names.onNameTable) ads.subscribeAll(TYPE_URL.nameTable, names.onNameTable);
  const held = new HeldSecrets(secrets);
  // The identity is held from the start: the first connection does not wait for it, and `proxy-config secret` shows it.
  for (const name of ['default', 'ROOTCA']) held.watch(name, () => {});
  const node = proxyNode(settings);
  const proxy = startProxy({ node, ads, secrets: held, drainTimeMs: settings.proxyConfig.drainDurationMs });
  let quit: (code: number) => void = () => {};
  const exited = new Promise<number>((resolve) => void (quit = resolve));
  const admin = new Admin({
    node, version, manager: proxy.config, stats: proxy.stats, registry: proxy.registry, secrets: () => held.secrets(), connectedToControlPlane: () => ads.connected,
    drainListeners: ({ inboundOnly }) => proxy.drain({ inboundOnly }),
    quit: () => quit(0),
    bootstrap: withOwnVersion(bootstrapOf(settings, '/XDS', '/SDS'), version),
  });
  const control = controlOf(proxy, admin);
  await Promise.all([
    admin.listen(settings.ports.admin),
    listen(createReadinessServer(settings.ports.status), settings.ports.readiness),
    listen(createPrometheusServer(control), settings.ports.prometheus),
  ]);
  proxy.ready.then(() => log.info('proxy is configured'), (error: unknown) => log.error('proxy cannot be configured', { error: String(error) }));
  return { control, exited, report: (typeUrl, error) => ads.report(typeUrl, error), stop: () => (ads.close(), void proxy.close()) };
}

/** Envoy adds its own version to the node it shows; so do we. */
function withOwnVersion(bootstrap: Readonly<Record<string, unknown>>, version: string): Readonly<Record<string, unknown>> {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0);
  const node = (bootstrap['node'] ?? {}) as Readonly<Record<string, unknown>>;
  return { ...bootstrap, node: { ...node, user_agent_name: 'meltemi', user_agent_build_version: { version: { major_number: major, minor_number: minor, patch }, metadata: { 'build.label': 'meltemi' } } } };
}

function openDiscovery({ settings, controlPlane, metrics, version }: DataPlaneContext): ReportingAdsClient {
  return createAdsClient({
    ...channelOptions(controlPlane), tokenPath: controlPlane.tokenPath,
    node: { ...settings.identity, extensions: [], extensionTypes: SUPPORTED_TYPES, userAgentName: 'meltemi', userAgentVersion: version },
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
}

/** Who we are, as metrics of both sides name us. */
function proxyNode({ identity, role }: AgentSettings): ProxyNode {
  const { metadata } = identity;
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const labels = (metadata['LABELS'] as Readonly<Record<string, string>> | undefined) ?? {};
  return {
    id: identity.id, cluster: identity.cluster, type: role, metadata,
    workload: {
      workload: text(metadata['WORKLOAD_NAME']), namespace: text(metadata['NAMESPACE']), app: labels['app'] ?? '', version: labels['version'] ?? '',
      canonicalService: labels['service.istio.io/canonical-name'] ?? text(metadata['WORKLOAD_NAME']), canonicalRevision: labels['service.istio.io/canonical-revision'] ?? 'latest',
      cluster: text(metadata['CLUSTER_ID']),
    },
  };
}

function controlOf(proxy: Proxy, admin: Admin): ProxyControl {
  return {
    async notReady() {
      if (!proxy.config.initialized) return 'config not received from XDS server (is Istiod running?)';
      const { status, body } = await admin.request('GET', '/ready');
      return status === 200 ? undefined : `proxy is ${body.trim()}`;
    },
    metrics: () => Promise.resolve({ status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', body: Buffer.from(admin.prometheus()) }),
    async drain() {
      await admin.request('POST', '/healthcheck/fail');
      await admin.request('POST', '/drain_listeners?graceful');
    },
    async activeConnections() {
      const { body } = await admin.request('GET', '/stats?filter=^listener\\..*downstream_cx_active$');
      return [...body.matchAll(/: (\d+)$/gm)].reduce((sum, match) => sum + Number(match[1]), 0);
    },
  };
}

/** Remembers what the proxy asked for and got: the secrets page of the admin interface. */
class HeldSecrets implements SecretSource {
  private readonly held = new Map<string, { watchers: number; secret: TlsSecret | undefined }>();

  constructor(private readonly source: SecretSource) {}

  watch(name: string, onSecret: (secret: TlsSecret) => void): Unsubscribe {
    const entry = this.held.get(name) ?? { watchers: 0, secret: undefined };
    this.held.set(name, entry);
    entry.watchers++;
    const stop = this.source.watch(name, (secret) => {
      entry.secret = secret;
      onSecret(secret);
    });
    return () => {
      entry.watchers--;
      if (entry.watchers === 0) this.held.delete(name);
      stop();
    };
  }

  secrets(): Iterable<TlsSecret> {
    return [...this.held.values()].map(({ secret }) => secret).filter((secret) => secret !== undefined);
  }
}
