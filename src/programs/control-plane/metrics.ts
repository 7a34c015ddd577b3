/** istiod's own metrics, with Istio's names. @see features.md §3.8 */
import { createRegistry, type Counter, type Gauge, type Histogram, type MetricRegistry } from '../../telemetry/metrics/registry.ts';
import type { CertificateEvent } from '../../xds/server/certificate-service.ts';
import { registerConstantMetrics } from './constant-metrics.ts';
import type { MeshUpdate } from './mesh-engine.ts';
import { lostProviders } from './mesh-findings.ts';
import { collectMeshMetrics, type MeshMetricSources } from './mesh-metrics.ts';
import type { ObjectChange } from './object-source.ts';

const SECONDS = [0.01, 0.1, 0.5, 1, 3, 5, 10, 20, 30];
const BYTES = [1, 10_000, 1_000_000, 4_000_000, 10_000_000, 40_000_000];

export interface ControlPlaneMetrics {
  readonly registry: MetricRegistry;
  readonly pushes: Counter;
  readonly configSizeBytes: Histogram;
  readonly convergenceTime: Histogram;
  readonly queueTime: Histogram;
  readonly pushTime: Histogram;
  readonly sendTime: Histogram;
  readonly rejects: Counter;
  readonly internalErrors: Counter;
  readonly expiredNonces: Counter;
  /** `pilot_xds_cds_reject` and its siblings; undefined for types Istio does not count. */
  rejectOf(type: string): Gauge | undefined;
  change(change: ObjectChange): void;
  update(update: MeshUpdate): void;
  certificate(event: CertificateEvent): void;
  injection(outcome: 'success' | 'skip' | 'failure', seconds: number): void;
  validation(passed: boolean): void;
  /** A validation request that was answered with an HTTP error. */
  validationError(httpStatus: number): void;
  /** A webhook configuration was given our CA bundle, or refused it. */
  webhookPatch(patch: WebhookPatch): void;
  /** A resource or a view that was asked for was there already, or had to be made. */
  cacheRead(hit: boolean): void;
  cacheEvicted(): void;
  keySetFetch(success: boolean): void;
}

/** One attempt to write the CA bundle. */
export interface WebhookPatch {
  readonly configuration: string;
  readonly validating: boolean;
  /** '' when it went well. */
  readonly failure: string;
}

/** Where the gauges are read. */
export interface MetricSources extends MeshMetricSources {
  readonly version: string;
  readonly startedAtMs: number;
  readonly now: () => number;
  readonly connected: () => number;
  readonly rootExpiresAtMs: () => number;
  /** Of the certificate that signs. */
  readonly chainExpiresAtMs: () => number;
  /** What the generator keeps: entries, and clusters that were made twice. */
  readonly cache: () => { readonly size: number; readonly duplicateClusters: number };
}

/** Makes the families and the recorders. */
export function createMetrics(sources: MetricSources): ControlPlaneMetrics {
  const registry = createRegistry();
  const { version } = sources;
  registry.gauge('istio_build', 'Istio component build info.').labels({ component: 'pilot', tag: version }).set(1);
  registry.gauge('pilot_info', 'Pilot version and build information.').labels({ version }).set(1);
  collectGauges(registry, sources);
  collectMeshMetrics(registry, sources);
  registerConstantMetrics(registry);
  const rejects = new Map(['CDS', 'EDS', 'LDS', 'RDS'].map((type) => [type, registry.gauge(`pilot_xds_${type.toLowerCase()}_reject`, `Pilot rejected ${type} configs.`)]));
  for (const gauge of rejects.values()) gauge.inc(0);
  return {
    registry,
    pushes: registry.counter('pilot_xds_pushes', 'Responses written to proxies, by type.'),
    configSizeBytes: registry.histogram('pilot_xds_config_size_bytes', 'Distribution of configuration sizes pushed to clients.', BYTES),
    convergenceTime: registry.histogram('pilot_proxy_convergence_time', 'Delay in seconds between config change and a proxy receiving all required configuration.', SECONDS),
    queueTime: started(registry.histogram('pilot_proxy_queue_time', 'Time in seconds, a proxy is in the push queue before being dequeued.', SECONDS)),
    pushTime: registry.histogram('pilot_xds_push_time', 'Seconds from the start of a push, or from the response before it, until a response of the type was sent.', SECONDS),
    sendTime: registry.histogram('pilot_xds_send_time', 'Seconds to encode a response and hand it to the connection.', SECONDS),
    rejects: started(registry.counter('pilot_total_xds_rejects', 'Total number of XDS responses from pilot rejected by proxy.')),
    internalErrors: started(registry.counter('pilot_total_xds_internal_errors', 'Total number of internal XDS errors in pilot.')),
    expiredNonces: started(registry.counter('pilot_xds_expired_nonce', 'Total number of XDS requests with an expired nonce.')),
    rejectOf: (type) => rejects.get(type),
    ...changeRecorders(registry),
    ...webhookRecorders(registry),
    ...cacheRecorders(registry),
    certificate: certificateRecorder(registry),
    keySetFetch: keySetRecorder(registry),
  };
}

/** The family, with its series without labels: shown as 0 before anything happened. */
function started<F extends Counter | Gauge | Histogram>(family: F): F {
  family.labels({});
  return family;
}

function cacheRecorders(registry: MetricRegistry): Pick<ControlPlaneMetrics, 'cacheRead' | 'cacheEvicted'> {
  const reads = registry.counter('xds_cache_reads', 'Views and resources asked of the cache, by whether they were there.');
  const hits = reads.labels({ type: 'hit' });
  const misses = reads.labels({ type: 'miss' });
  const evictions = registry.counter('xds_cache_evictions', 'Views that were dropped because no proxy used them any more.').labels({ type: 'evict' });
  return { cacheRead: (hit) => (hit ? hits : misses).inc(), cacheEvicted: () => evictions.inc() };
}

function keySetRecorder(registry: MetricRegistry): (success: boolean) => void {
  const good = started(registry.counter('pilot_jwks_resolver_network_fetch_success_total', 'Total number of successfully network fetch by pilot jwks resolver.'));
  const bad = started(registry.counter('pilot_jwks_resolver_network_fetch_fail_total', 'Total number of failed network fetch by pilot jwks resolver.'));
  return (success) => (success ? good : bad).inc();
}

function collectGauges(registry: MetricRegistry, sources: MetricSources): void {
  const uptime = registry.gauge('istiod_uptime_seconds', 'Current istiod server uptime in seconds.');
  const connected = registry.gauge('pilot_xds', 'Number of endpoints connected to this pilot using XDS.');
  const expires = registry.gauge('citadel_server_root_cert_expiry_timestamp', 'The unix timestamp, in seconds, when the root cert will expire.');
  const expiresIn = registry.gauge('citadel_server_root_cert_expiry_seconds', 'The time remaining, in seconds, before the root cert will expire.');
  const chain = registry.gauge('citadel_server_cert_chain_expiry_timestamp', 'The unix timestamp, in seconds, when the cert chain will expire.');
  const chainIn = registry.gauge('citadel_server_cert_chain_expiry_seconds', 'The time remaining, in seconds, before the cert chain will expire.');
  const cacheSize = registry.gauge('xds_cache_size', 'Current size of xds cache: views, endpoints and encoded resources.');
  const duplicateClusters = registry.gauge('pilot_duplicate_envoy_clusters', 'Duplicate envoy clusters caused by service entries with same hostname.');
  registry.onCollect(() => {
    const now = sources.now();
    uptime.set((now - sources.startedAtMs) / 1000);
    connected.labels({ version: sources.version }).set(sources.connected());
    expires.set(Math.floor(sources.rootExpiresAtMs() / 1000));
    expiresIn.set(Math.floor((sources.rootExpiresAtMs() - now) / 1000));
    chain.set(Math.floor(sources.chainExpiresAtMs() / 1000));
    chainIn.set(Math.floor((sources.chainExpiresAtMs() - now) / 1000));
    const cache = sources.cache();
    cacheSize.set(cache.size);
    duplicateClusters.set(cache.duplicateClusters);
  });
}

/** Kinds that are config in Istio's sense; the rest belongs to the registry. */
const isConfig = (change: ObjectChange): boolean => change.object.apiVersion.includes('istio.io/');

function changeRecorders(registry: MetricRegistry): Pick<ControlPlaneMetrics, 'change' | 'update'> {
  const configEvents = started(registry.counter('pilot_k8s_cfg_events', 'Events from k8s config.'));
  const registryEvents = started(registry.counter('pilot_k8s_reg_events', 'Events from k8s registry.'));
  const inbound = registry.counter('pilot_inbound_updates', 'Total number of updates received by pilot.');
  const triggers = registry.counter('pilot_push_triggers', 'Total number of times a push was triggered, labeled by reason for the push.');
  const debounce = registry.histogram('pilot_debounce_time', 'Delay in seconds between the first config enters debouncing and the merged push request is pushed into the push queue.', [0.01, 0.1, 1, 3, 5, 10, 20, 30]);
  const init = registry.histogram('pilot_pushcontext_init_seconds', 'Total time in seconds Pilot takes to init pushContext.', [0.01, 0.1, 0.5, 1, 3, 5]);
  const services = registry.gauge('pilot_services', 'Total services known to pilot.');
  const virtualServices = registry.gauge('pilot_virt_services', 'Total virtual services known to pilot.');
  const lost = started(registry.counter('provider_lookup_cluster_failures', 'Number of times a cluster lookup failed: CUSTOM policies whose provider or its service was missing when the mesh was built.'));
  const queue = { queueName: 'mesh' };
  const depth = registry.gauge('pilot_worker_queue_depth', 'Depth of the controller queues: changes the mesh does not show yet.').labels(queue);
  const latency = registry.histogram('pilot_worker_queue_latency', 'Latency before the item is processed, seconds.', SECONDS).labels(queue);
  const duration = registry.histogram('pilot_worker_queue_duration', 'Time taken to process an item, seconds.', SECONDS).labels(queue);
  const eventName = { added: 'add', updated: 'update', deleted: 'delete' } as const;
  return {
    change(change) {
      depth.inc();
      if (isConfig(change)) configEvents.labels({ type: change.object.kind, event: eventName[change.type] }).inc();
      else registryEvents.labels({ type: change.object.kind, event: eventName[change.type] }).inc();
      inbound.labels({ type: isConfig(change) ? 'config' : change.object.kind === 'EndpointSlice' ? 'eds' : 'svc' }).inc();
    },
    update(update) {
      triggers.labels({ type: update.endpointsOf ? 'endpoint' : 'config' }).inc();
      const nowMs = Date.parse(update.version.split('/')[0]!);
      const waited = Math.max(0, nowMs - update.sinceMs - update.resolveMs) / 1000;
      debounce.observe(waited);
      depth.set(0);
      latency.observe(waited);
      duration.observe(update.resolveMs / 1000);
      if (!update.endpointsOf) {
        init.observe(update.resolveMs / 1000);
        lost.inc(lostProviders(update.snapshot));
      }
      services.set(update.snapshot.services.length);
      virtualServices.set(update.snapshot.virtualServices.length);
    },
  };
}

function webhookRecorders(registry: MetricRegistry): Pick<ControlPlaneMetrics, 'injection' | 'validation' | 'validationError' | 'webhookPatch'> {
  const requests = started(registry.counter('sidecar_injection_requests_total', 'Total number of sidecar injection requests.'));
  const outcomes = {
    success: started(registry.counter('sidecar_injection_success_total', 'Total number of successful sidecar injection requests.')),
    skip: started(registry.counter('sidecar_injection_skip_total', 'Total number of skipped sidecar injection requests.')),
    failure: started(registry.counter('sidecar_injection_failure_total', 'Total number of failed sidecar injection requests.')),
  };
  const seconds = registry.histogram('sidecar_injection_time_seconds', 'Total time taken for injection in seconds.', [0.1, 1, 5]);
  const passed = started(registry.counter('galley_validation_passed', 'Resource is valid.'));
  const failed = started(registry.counter('galley_validation_failed', 'Resource validation failed.'));
  const updated = started(registry.counter('galley_validation_config_updates', 'k8s webhook configuration updates.'));
  const updateFailed = started(registry.counter('galley_validation_config_update_error', 'k8s webhook configuration update error.'));
  const httpErrors = started(registry.counter('galley_validation_http_error', 'Resource validation http serve errors.'));
  const attempts = started(registry.counter('webhook_patch_attempts_total', 'Webhook patching attempts.'));
  const failures = started(registry.counter('webhook_patch_failures_total', 'Webhook patching total failures.'));
  return {
    webhookPatch({ configuration, validating, failure }) {
      attempts.labels({ name: configuration }).inc();
      if (failure !== '') failures.labels({ name: configuration, reason: failure }).inc();
      if (validating) (failure === '' ? updated : updateFailed).inc();
    },
    validationError: (status) => httpErrors.labels({ status: String(status) }).inc(),
    injection(outcome, took) {
      requests.inc();
      outcomes[outcome].inc();
      seconds.observe(took);
    },
    validation: (ok) => (ok ? passed : failed).inc(),
  };
}

function certificateRecorder(registry: MetricRegistry): (event: CertificateEvent) => void {
  const requests = started(registry.counter('citadel_server_csr_count', 'The number of CSRs received by Citadel server.'));
  const issued = started(registry.counter('citadel_server_success_cert_issuance_count', 'The number of certificates issuances that have succeeded.'));
  const unauthenticated = started(registry.counter('citadel_server_authentication_failure_count', 'The number of authentication failures.'));
  const unsigned = started(registry.counter('citadel_server_csr_sign_err_count', 'The number of errors occurred when signing the CSR.'));
  const unreadable = started(registry.counter('citadel_server_csr_parsing_err_count', 'The number of errors occurred when parsing the CSR.'));
  return (event) => {
    requests.inc();
    if (event.kind === 'issued') issued.inc();
    else if (event.kind === 'unauthenticated') unauthenticated.inc();
    else (event.reason === 'csr' ? unreadable : unsigned).inc();
  };
}
