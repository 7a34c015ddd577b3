/** istiod's own metrics, with Istio's names. @see features.md §3.8 */
import { createRegistry, type Counter, type Gauge, type Histogram, type MetricRegistry } from '../../telemetry/metrics/registry.ts';
import type { CertificateEvent } from '../../xds/server/certificate-service.ts';
import type { MeshUpdate } from './mesh-engine.ts';
import type { ObjectChange } from './object-source.ts';

const SECONDS = [0.01, 0.1, 0.5, 1, 3, 5, 10, 20, 30];
const BYTES = [1, 10_000, 1_000_000, 4_000_000, 10_000_000, 40_000_000];

export interface ControlPlaneMetrics {
  readonly registry: MetricRegistry;
  readonly pushes: Counter;
  readonly configSizeBytes: Histogram;
  readonly convergenceTime: Histogram;
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
  keySetFetch(success: boolean): void;
}

export interface MetricSources {
  readonly version: string;
  readonly startedAtMs: number;
  readonly now: () => number;
  readonly connected: () => number;
  readonly rootExpiresAtMs: () => number;
}

/** Makes the families and the recorders. */
export function createMetrics(sources: MetricSources): ControlPlaneMetrics {
  const registry = createRegistry();
  const { version } = sources;
  registry.gauge('istio_build', 'Istio component build info.').labels({ component: 'pilot', tag: version }).set(1);
  registry.gauge('pilot_info', 'Pilot version and build information.').labels({ version }).set(1);
  collectGauges(registry, sources);
  const rejects = new Map(['CDS', 'EDS', 'LDS', 'RDS'].map((type) => [type, registry.gauge(`pilot_xds_${type.toLowerCase()}_reject`, `Pilot rejected ${type} configs.`)]));
  return {
    registry,
    pushes: registry.counter('pilot_xds_pushes', 'Responses written to proxies, by type.'),
    configSizeBytes: registry.histogram('pilot_xds_config_size_bytes', 'Distribution of configuration sizes pushed to clients.', BYTES),
    convergenceTime: registry.histogram('pilot_proxy_convergence_time', 'Delay in seconds between config change and a proxy receiving all required configuration.', SECONDS),
    pushTime: registry.histogram('pilot_xds_push_time', 'Seconds from the start of a push, or from the response before it, until a response of the type was sent.', SECONDS),
    sendTime: registry.histogram('pilot_xds_send_time', 'Seconds to encode a response and hand it to the connection.', SECONDS),
    rejects: registry.counter('pilot_total_xds_rejects', 'Total number of XDS responses from pilot rejected by proxy.'),
    internalErrors: registry.counter('pilot_total_xds_internal_errors', 'Total number of internal XDS errors in pilot.'),
    expiredNonces: registry.counter('pilot_xds_expired_nonce', 'Total number of XDS requests with an expired nonce.'),
    rejectOf: (type) => rejects.get(type),
    ...changeRecorders(registry),
    ...webhookRecorders(registry),
    certificate: certificateRecorder(registry),
    keySetFetch: keySetRecorder(registry),
  };
}

function keySetRecorder(registry: MetricRegistry): (success: boolean) => void {
  const good = registry.counter('pilot_jwks_resolver_network_fetch_success_total', 'Total number of successfully network fetch by pilot jwks resolver.');
  const bad = registry.counter('pilot_jwks_resolver_network_fetch_fail_total', 'Total number of failed network fetch by pilot jwks resolver.');
  return (success) => (success ? good : bad).inc();
}

function collectGauges(registry: MetricRegistry, sources: MetricSources): void {
  const uptime = registry.gauge('istiod_uptime_seconds', 'Current istiod server uptime in seconds.');
  const connected = registry.gauge('pilot_xds', 'Number of endpoints connected to this pilot using XDS.');
  const expires = registry.gauge('citadel_server_root_cert_expiry_timestamp', 'The unix timestamp, in seconds, when the root cert will expire.');
  const expiresIn = registry.gauge('citadel_server_root_cert_expiry_seconds', 'The time remaining, in seconds, before the root cert will expire.');
  registry.onCollect(() => {
    const now = sources.now();
    uptime.set((now - sources.startedAtMs) / 1000);
    connected.labels({ version: sources.version }).set(sources.connected());
    expires.set(Math.floor(sources.rootExpiresAtMs() / 1000));
    expiresIn.set(Math.floor((sources.rootExpiresAtMs() - now) / 1000));
  });
}

/** Kinds that are config in Istio's sense; the rest belongs to the registry. */
const isConfig = (change: ObjectChange): boolean => change.object.apiVersion.includes('istio.io/');

function changeRecorders(registry: MetricRegistry): Pick<ControlPlaneMetrics, 'change' | 'update'> {
  const configEvents = registry.counter('pilot_k8s_cfg_events', 'Events from k8s config.');
  const registryEvents = registry.counter('pilot_k8s_reg_events', 'Events from k8s registry.');
  const inbound = registry.counter('pilot_inbound_updates', 'Total number of updates received by pilot.');
  const triggers = registry.counter('pilot_push_triggers', 'Total number of times a push was triggered, labeled by reason for the push.');
  const debounce = registry.histogram('pilot_debounce_time', 'Delay in seconds between the first config enters debouncing and the merged push request is pushed into the push queue.', [0.01, 0.1, 1, 3, 5, 10, 20, 30]);
  const init = registry.histogram('pilot_pushcontext_init_seconds', 'Total time in seconds Pilot takes to init pushContext.', [0.01, 0.1, 0.5, 1, 3, 5]);
  const services = registry.gauge('pilot_services', 'Total services known to pilot.');
  const virtualServices = registry.gauge('pilot_virt_services', 'Total virtual services known to pilot.');
  const empty = registry.gauge('pilot_eds_no_instances', 'Number of clusters without instances.');
  const eventName = { added: 'add', updated: 'update', deleted: 'delete' } as const;
  return {
    change(change) {
      if (isConfig(change)) configEvents.labels({ type: change.object.kind, event: eventName[change.type] }).inc();
      else registryEvents.labels({ type: change.object.kind, event: eventName[change.type] }).inc();
      inbound.labels({ type: isConfig(change) ? 'config' : change.object.kind === 'EndpointSlice' ? 'eds' : 'svc' }).inc();
    },
    update(update) {
      triggers.labels({ type: update.endpointsOf ? 'endpoint' : 'config' }).inc();
      const nowMs = Date.parse(update.version.split('/')[0]!);
      debounce.observe(Math.max(0, nowMs - update.sinceMs - update.resolveMs) / 1000);
      if (!update.endpointsOf) init.observe(update.resolveMs / 1000);
      services.set(update.snapshot.services.length);
      virtualServices.set(update.snapshot.virtualServices.length);
      empty.set(update.snapshot.services.filter((service) => (update.snapshot.endpoints.get(service.key)?.length ?? 0) === 0).length);
    },
  };
}

function webhookRecorders(registry: MetricRegistry): Pick<ControlPlaneMetrics, 'injection' | 'validation'> {
  const requests = registry.counter('sidecar_injection_requests_total', 'Total number of sidecar injection requests.');
  const outcomes = {
    success: registry.counter('sidecar_injection_success_total', 'Total number of successful sidecar injection requests.'),
    skip: registry.counter('sidecar_injection_skip_total', 'Total number of skipped sidecar injection requests.'),
    failure: registry.counter('sidecar_injection_failure_total', 'Total number of failed sidecar injection requests.'),
  };
  const seconds = registry.histogram('sidecar_injection_time_seconds', 'Total time taken for injection in seconds.', [0.1, 1, 5]);
  const passed = registry.counter('galley_validation_passed', 'Resource is valid.');
  const failed = registry.counter('galley_validation_failed', 'Resource validation failed.');
  return {
    injection(outcome, took) {
      requests.inc();
      outcomes[outcome].inc();
      seconds.observe(took);
    },
    validation: (ok) => (ok ? passed : failed).inc(),
  };
}

function certificateRecorder(registry: MetricRegistry): (event: CertificateEvent) => void {
  const requests = registry.counter('citadel_server_csr_count', 'The number of CSRs received by Citadel server.');
  const issued = registry.counter('citadel_server_success_cert_issuance_count', 'The number of certificates issuances that have succeeded.');
  const unauthenticated = registry.counter('citadel_server_authentication_failure_count', 'The number of authentication failures.');
  const failed = registry.counter('citadel_server_csr_sign_err_count', 'The number of errors occurred when signing the CSR.');
  return (event) => {
    requests.inc();
    if (event.kind === 'issued') issued.inc();
    else if (event.kind === 'unauthenticated') unauthenticated.inc();
    else failed.inc();
  };
}
