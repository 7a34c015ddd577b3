/** The control plane: the table of contents of what it starts. */
import { setMaxListeners } from 'node:events';
import type { Server } from 'node:net';
import type { InjectionContext } from '../../admission/inject/types.ts';
import { systemClock } from '../../base/clock.ts';
import { createLogger } from '../../base/log.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { mergeBundles } from '../../identity/trust-bundle.ts';
import type { KubeClient } from '../../kube/client/client.ts';
import { createHttpsClient } from '../../kube/client/https-client.ts';
import { findClusterAccess } from '../../kube/client/kube-config.ts';
import { featuresOf } from '../../resolve/gateway-api/features.ts';
import type { AdsEvent } from '../../xds/server/connection.ts';
import { authenticate, type AuthenticatorOptions, type CallerCredentials } from '../../xds/server/authenticate.ts';
import { readCaSettings, type CaSettings } from './ca-settings.ts';
import type { Certificates } from './certificates.ts';
import { openCertificates } from './open-certificates.ts';
import { SecretAccess } from './secret-access.ts';
import { serveDebug } from './debug.ts';
import { Debounce } from './debounce.ts';
import { createDiscovery, type Discovery } from './discovery.ts';
import { envoyFilterStatuses } from './envoy-filter-status.ts';
import { createFileSource } from './file-source.ts';
import { createGatewayDuties, type GatewayDuties } from './gateway-duties.ts';
import { injectionSource } from './injection-context.ts';
import { KeySets } from './key-sets.ts';
import { createKubeSource } from './kube-source.ts';
import { MeshEngine } from './mesh-engine.ts';
import { meshRoots } from './mesh-roots.ts';
import { createMetrics, type ControlPlaneMetrics } from './metrics.ts';
import { registersWorkloads, registrationSettings, WorkloadRegistrations } from './workload-registration.ts';
import { serveMonitoring } from './monitoring.ts';
import type { ObjectSource } from './object-source.ts';
import { portOf, splitAddress, type ControlPlaneOptions } from './options.ts';
import { maintainRootConfigMaps } from './root-config-maps.ts';
import { meshTrustDomain } from './trust-domain.ts';
import { reviewToken } from './token-review.ts';
import { legacyNotes } from '../../resolve/legacy/notes.ts';
import { maintainCaBundles, serveWebhooks, WebhookRotator } from './webhooks.ts';

const log = createLogger('istiod');

/** A running control plane. */
export interface ControlPlane {
  /** Port of plaintext discovery; undefined when it is off. */
  readonly grpcPort: number | undefined;
  readonly secureGrpcPort: number | undefined;
  readonly webhookPort: number | undefined;
  readonly debugPort: number | undefined;
  readonly monitoringPort: number | undefined;
  close(): void;
}

/** Starts everything and resolves when proxies are served. Rejects when it cannot start (no API server, a port in use). */
export async function runControlPlane(options: ControlPlaneOptions, version: string): Promise<ControlPlane> {
  const abort = new AbortController();
  const { signal } = abort;
  // Every informer listens to the end.
  setMaxListeners(0, signal);
  const client = options.files === undefined ? createHttpsClient(findClusterAccess(options.kubeconfig === undefined ? {} : { path: options.kubeconfig })) : undefined;
  const ca = readCaSettings(process.env);
  const core = buildCore(options, version, client, signal, ca);
  const { source, engine, discovery, metrics, auth } = core;
  let ready = false;
  let injection: ((namespace: string) => InjectionContext) | undefined;
  const servers: Server[] = [];
  const opened = (server: Server): number => {
    servers.push(server);
    return portOf(server);
  };
  const debugPort = options.debugAddress === undefined ? undefined : opened(await serveDebug(splitAddress(options.debugAddress), {
    ready: () => ready, engine: () => engine, source: () => source, discovery, podName: options.podName, version, systemNamespace: options.systemNamespace,
    authenticate: (authorization) => authenticate({ authorization, clientCertificate: undefined }, auth), injection: () => injection,
  }));
  const monitoringPort = options.monitoringAddress === undefined ? undefined : opened(await serveMonitoring(splitAddress(options.monitoringAddress), { registry: metrics.registry, version }));

  await source.synced;
  for (const problem of ca.problems) log.warn('a setting of the CA cannot be used', { problem });
  const certificates = await openCertificates({ client, systemNamespace: options.systemNamespace, revision: options.revision, trustDomain: auth.trustDomain(), settings: ca, clock: systemClock, signal }, () => source.meshConfigText());
  core.use(certificates);
  await engine.start();
  core.gateways?.start();
  const rotations: (() => void)[] = [() => discovery.server.rotate(certificates.serving)];
  certificates.onRotate(() => rotations.forEach((rotate) => rotate()));
  const webhooks = client && (await startClusterDuties({ client, options, certificates, version, source, metrics, signal, rotations, onInjection: (context) => void (injection = context) }));
  const webhookPort = webhooks && opened(webhooks);
  const grpcPort = options.grpcAddress === undefined ? undefined : await discovery.server.listenPlaintext(options.grpcAddress);
  const secureGrpcPort = options.secureGrpcAddress === undefined ? undefined : await discovery.server.listenTls(options.secureGrpcAddress, certificates.serving);
  ready = true;
  log.info('serving', { version, grpcPort: grpcPort ?? 0, secureGrpcPort: secureGrpcPort ?? 0, services: engine.snapshot.services.length });
  return {
    grpcPort,
    secureGrpcPort,
    webhookPort,
    debugPort,
    monitoringPort,
    close() {
      abort.abort();
      for (const server of servers) server.close();
      discovery.server.close();
      client?.close();
    },
  };
}

interface Core {
  readonly source: ObjectSource;
  readonly engine: MeshEngine;
  readonly discovery: Discovery;
  readonly metrics: ControlPlaneMetrics;
  readonly auth: AuthenticatorOptions;
  /** Undefined without an API server. */
  readonly gateways: GatewayDuties | undefined;
  /** Hands in the CA, which is loaded after the objects. */
  use(certificates: Certificates): void;
}

/** What may change how many proxies obey an EnvoyFilter. */
const STATUS_EVENTS: ReadonlySet<AdsEvent['kind']> = new Set(['acked', 'nacked', 'disconnected']);

/** Objects → engine → discovery, wired but not started. */
function buildCore(options: ControlPlaneOptions, version: string, client: KubeClient | undefined, signal: AbortSignal, ca: CaSettings): Core {
  const clock = systemClock;
  let certificates: Certificates | undefined;
  const source = client
    ? createKubeSource({ client, systemNamespace: options.systemNamespace, meshConfigMap: options.revision === '' ? 'istio' : `istio-${options.revision}`, signal })
    : createFileSource(options.files ?? '.', signal);
  const auth: AuthenticatorOptions = {
    trustDomain: () => meshTrustDomain(source.meshConfigText()),
    trustDomainAliases: () => meshRoots(source.meshConfigText()).trustDomainAliases,
    trustedRootsPem: () => (certificates?.trustedPem ?? '') + meshRoots(source.meshConfigText()).ofCallers,
    reviewToken: (token) => (client ? reviewToken(client, token, ca.tokenAudiences) : Promise.resolve(undefined)),
    now: () => clock.now(),
  };
  const metrics = createMetrics({
    version, startedAtMs: clock.now(), now: () => clock.now(),
    connected: () => discovery.server.clients().length,
    rootExpiresAtMs: () => (certificates ? parseCertificate(certificates.rootCertPem).notAfterMs : 0),
    chainExpiresAtMs: () => certificates?.chainExpiresAtMs ?? 0,
    cache: () => discovery.cache(),
    snapshot: () => (engine.ready ? engine.snapshot : undefined), issues: () => engine.issues,
    views: () => discovery.server.clients().flatMap((client) => discovery.resourcesOf(client)?.view ?? []),
  });
  const keySets = new KeySets({ clock, onChange: () => engine.refresh(), onFetch: (success) => metrics.keySetFetch(success) });
  signal.addEventListener('abort', () => keySets.close());
  const gatewayApi = featuresOf(process.env);
  const gateways = client && createGatewayDuties({ client, source, features: gatewayApi, options, clock, signal, refresh: () => engine.refresh() });
  const engine: MeshEngine = new MeshEngine({
    source, clock, domainSuffix: options.domainSuffix, clusterId: options.clusterId, rootNamespace: options.systemNamespace, gatewayApi,
    severalAuthorizers: () => /^(?:1|t|true)$/i.test(process.env['PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS'] ?? ''),
    onStatuses: (statuses) => gateways?.update(statuses),
    onChange: (change) => metrics.change(change),
    keySets: () => keySets,
    onUpdate: (update) => {
      metrics.update(update);
      discovery.publish(update);
      filterStatuses.trigger();
    },
  });
  const prove = (credentials: CallerCredentials) => authenticate(credentials, auth);
  const workloads = client && registersWorkloads(process.env) ? new WorkloadRegistrations({ client, clock, signal, podName: options.podName, systemNamespace: options.systemNamespace, ...registrationSettings(process.env) }) : undefined;
  // Answers come in bursts: one status for all of them.
  const filterStatuses = new Debounce({ clock, quietMs: 1000, maxMs: 5000, act: () => {
    if (!engine.ready || engine.snapshot.envoyFilters.length === 0) return;
    const views = discovery.server.clients().flatMap((connected) => discovery.resourcesOf(connected)?.view ?? []);
    gateways?.updateFilters(envoyFilterStatuses(source.objects(), views, discovery.quarantined()));
  } });
  const discovery: Discovery = createDiscovery({
    ...(workloads && { checkNode: (node) => workloads.checkNode(node) }),
    onEvent: (event) => {
      workloads?.onEvent(event);
      if (STATUS_EVENTS.has(event.kind)) filterStatuses.trigger();
    },
    engine: () => engine, metrics, clock, ...(client && { secretAccess: new SecretAccess({ client, clock, isConnected: (spiffeId) => discovery.server.clients().some((one) => one.spiffeId === spiffeId) }) }),
    trustEverybody: client === undefined, authenticate: prove, acceptHttp10: /^(?:1|t|true)$/i.test(process.env['PILOT_HTTP10'] ?? ''),
    ...(ca.serveCa && { certificates: { authority: () => certificates!.authority, authenticate: prove, now: () => clock.now(), onEvent: (event) => metrics.certificate(event) } }),
  });
  return { source, engine, discovery, metrics, auth, gateways, use: (loaded) => void (certificates = loaded) };
}

interface ClusterDuties {
  readonly client: KubeClient;
  readonly options: ControlPlaneOptions;
  readonly certificates: Certificates;
  readonly version: string;
  readonly source: ObjectSource;
  readonly metrics: ControlPlaneMetrics;
  readonly signal: AbortSignal;
  /** What must be done when the CA or the serving certificate changes. */
  readonly rotations: (() => void)[];
  /** What pods are injected with is known. */
  readonly onInjection: (context: (namespace: string) => InjectionContext) => void;
}

/** What only a control plane with an API server does: the root in every namespace, webhooks, their CA bundles. Resolves to the webhook server. */
async function startClusterDuties({ client, options, certificates, version, source, metrics, signal, rotations, onInjection }: ClusterDuties): Promise<Server | undefined> {
  const rootCertPem = () => certificates.rootCertPem;
  const trusted = () => mergeBundles(rootCertPem(), meshRoots(source.meshConfigText()).additional);
  const writeRoots = maintainRootConfigMaps({ client, source, rootCertPem: trusted, signal });
  rotations.push(writeRoots);
  source.onChange(({ object }) => object.kind === 'ConfigMap' && object.metadata.namespace === options.systemNamespace && writeRoots());
  if (options.webhookAddress === undefined) return undefined;
  const injectionContext = await injectionSource({ client, systemNamespace: options.systemNamespace, revision: options.revision, version, source, signal });
  onInjection(injectionContext);
  const rotator = new WebhookRotator({ rootCertPem, clock: systemClock });
  const webhooks = await serveWebhooks(splitAddress(options.webhookAddress), {
    identity: () => certificates.serving, injectionContext,
    notes: (object) => legacyNotes(object, source.objects(), options.systemNamespace),
    onInjection: (outcome, seconds) => metrics.injection(outcome, seconds),
    onValidation: (passed) => metrics.validation(passed),
    onValidationError: (status) => metrics.validationError(status),
  });
  const writeBundles = await maintainCaBundles({ client, systemNamespace: options.systemNamespace, rootCertPem: () => rotator.bundlePem(), signal, onPatch: (patch) => metrics.webhookPatch(patch) });
  rotations.push(() => rotator.rotate({ writeBundles, serve: () => webhooks.rotate() }));
  return webhooks.server;
}
