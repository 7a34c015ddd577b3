// `pilot-agent proxy`: the table of contents of a running sidecar or gateway.
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { systemClock } from '../../base/clock.ts';
import { createLogger, setLogLevel } from '../../base/log.ts';
import { openCaClient, type ControlPlaneConnection } from '../../agent/certificates/ca-client.ts';
import { AgentSecretSource } from '../../agent/certificates/secret-source.ts';
import { MountedCertificate } from '../../agent/certificates/mounted-certificate.ts';
import { writeCertificates } from '../../agent/certificates/output-certificates.ts';
import { watchFiles } from '../../agent/certificates/watched-file.ts';
import { WorkloadCertificateManager, type WorkloadCertificates } from '../../agent/certificates/workload-certificate.ts';
import { drainBeforeExit } from '../../agent/lifecycle.ts';
import { meshConfigPath, needsYaml, resolveSettings, type AgentSettings } from '../../agent/settings.ts';
import { parseAppProbers } from '../../agent/status/app-probes.ts';
import { parseWorkloadProbe, WorkloadHealth } from '../../agent/status/workload-health.ts';
import { AgentMetrics, parseApplicationScrape } from '../../agent/status/metrics.ts';
import { createStatusServer } from '../../agent/status/status-server.ts';
import { HEALTH_TYPE_URL } from '../../xds/ads.ts';
import type { DataPlaneContext, RunningDataPlane } from './data-plane.ts';
import { listen } from './listen.ts';
import { openNameService } from './name-service.ts';
import { markedSocketOpener } from './marked-socket.ts';
import { trimNativeMemory } from '../../proxy/io/native.ts';
import { POD_NETWORK_VARIABLE } from '../../local/loopback/pod-network.ts';
import { collectWhenIdle } from '../process/idle-collector.ts';

const log = createLogger('agent');

/** Starts everything; the process ends by signal, by `/quitquitquit`, or with the proxy. */
export async function runProxy(args: readonly string[], version: string): Promise<undefined> {
  const settings = resolveSettings(args, process.env, readText, localAddresses(), version, await parserFor(process.env['PROXY_CONFIG'], readText(meshConfigPath(args))));
  setLogLevel(settings.logLevel);
  log.info('starting', { version, role: settings.role, node: settings.identity.id, dataPlane: settings.dataPlane, discovery: settings.discoveryAddress });
  const metrics = declareMetrics();
  const openSocket = markedSocketOpener(settings.socketMark);
  const connectionTo = (address: string, rootPath: string): ControlPlaneConnection => ({
    address, tokenPath: settings.tokenPath, rootPath: address.endsWith(':15010') ? undefined : rootPath, ...(openSocket ? { openSocket } : {}),
  });
  const workload = openWorkloadCertificates(settings, connectionTo(settings.caAddress, settings.caRootPath));
  const secrets = new AgentSecretSource(workload, settings.rootPath);
  const names = openNameService(settings, metrics);
  metrics.gauge('istio_agent_cert_expiry_seconds', 'Seconds until the workload certificate expires.', () => {
    const certificate = workload.certificate.value;
    return certificate ? Math.round((certificate.notAfterMs - Date.now()) / 1000) : 0;
  });
  let hadCertificate = false;
  workload.certificate.watch((certificate) => void (hadCertificate ||= certificate !== undefined));
  watchFiles([settings.rootPath], ([rootsPem = '']) => workload.checkAgainst(rootsPem));
  void workload.start();
  const context: DataPlaneContext = { settings, controlPlane: connectionTo(settings.discoveryAddress, settings.rootPath), secrets, names, metrics, version };
  const dataPlane = settings.dataPlane === 'envoy' ? await (await import('./envoy-data-plane.ts')).startEnvoyDataPlane(context) : await (await import('./own-data-plane.ts')).startOwnDataPlane(context);
  const shutdown = shutdownOf(settings, dataPlane, () => (workload.close(), names.close()));
  const status = createStatusServer({
    proxy: dataPlane.control, metrics, podIp: settings.podIp,
    appProbers: parseAppProbers(process.env['ISTIO_KUBE_APP_PROBERS']),
    application: parseApplicationScrape(process.env['ISTIO_PROMETHEUS_ANNOTATIONS'], settings.ports.status),
    // A proxy that served once stays in rotation without a control plane: plaintext still works, and so do open connections.
    agentNotReady: () => (hadCertificate ? undefined : `no workload certificate yet${workload.lastError.value ? `: ${workload.lastError.value}` : ''}`),
    onQuit: () => shutdown(0),
    onDrain: () => void dataPlane.control.drain().catch((error: unknown) => log.warn('drain failed', { error: String(error) })),
    nameTable: () => names.describe(),
  });
  await listen(status, settings.ports.status);
  if (process.env[POD_NETWORK_VARIABLE] !== undefined) await (await import('./http-capture.ts')).startHttpCapture();
  metrics.gauge('istio_agent_startup_duration_seconds', 'Seconds from the start of the process to the start of its listeners.', startupSeconds());
  reportHealth(settings, dataPlane);
  collectWhenIdle(trimNativeMemory);
  process.on('SIGTERM', () => shutdown(undefined));
  process.on('SIGINT', () => shutdown(undefined));
  void dataPlane.exited.then((code) => {
    log.error('the proxy ended', { code });
    process.exit(code === 0 ? 0 : code);
  });
  return undefined;
}

/** Workloads of a WorkloadGroup with a probe are used only while they say that they are well. */
function reportHealth({ proxyConfig, podIp }: AgentSettings, dataPlane: RunningDataPlane): void {
  const probe = parseWorkloadProbe(proxyConfig.raw['readinessProbe']);
  const address = /^(1|t|true)$/i.test(process.env['REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION'] ?? '') ? 'localhost' : podIp;
  if (probe) new WorkloadHealth({ probe, address, clock: systemClock, onChange: (problem) => dataPlane.report(HEALTH_TYPE_URL, problem) });
}

/** From files where another system provides them, else from the CA. */
function openWorkloadCertificates(settings: AgentSettings, ca: ControlPlaneConnection): WorkloadCertificates {
  const workload = settings.mountedCertificates !== undefined
    ? new MountedCertificate(settings.mountedCertificates)
    : new WorkloadCertificateManager({ ca: openCaClient(ca, settings.certSigner), clock: systemClock, uri: settings.spiffeId, keyType: settings.keyType, ttlSeconds: settings.certificateTtlMs / 1000, ...settings.renewal });
  if (settings.outputCertificates !== undefined) writeCertificates(workload, settings.outputCertificates, /^(1|t|true)$/i.test(process.env['PKCS8_KEY'] ?? ''));
  return workload;
}

/** `quit(0)` leaves at once; `quit(undefined)` drains first. A second call while draining leaves at once. */
function shutdownOf(settings: AgentSettings, dataPlane: RunningDataPlane, close: () => void): (code: number | undefined) => void {
  let draining = false;
  const leave = (): void => {
    close();
    dataPlane.stop();
    // Envoy gets a moment to go; our own proxy goes with the process.
    setTimeout(() => process.exit(0), settings.dataPlane === 'envoy' ? 500 : 0);
  };
  return (code) => {
    if (code !== undefined || draining) return leave();
    draining = true;
    void drainBeforeExit({
      proxy: dataPlane.control, clock: systemClock, drainMs: settings.proxyConfig.terminationDrainDurationMs,
      exitOnZeroActiveConnections: settings.exitOnZeroActiveConnections, minimumDrainMs: settings.minimumDrainMs,
    }).then(leave);
    // The drain's timers do not keep a process alive, and the listeners are going.
    setInterval(() => {}, 60_000);
  };
}

function declareMetrics(): AgentMetrics {
  const metrics = new AgentMetrics();
  metrics.counter('istio_agent_scrapes_total', 'Scrapes of the merged metrics.');
  metrics.counter('istio_agent_scrape_failures_total', 'Parts of scrapes that could not be read.');
  metrics.counter('istio_agent_xds_proxy_requests', 'Discovery requests sent to the control plane.');
  metrics.counter('istio_agent_xds_proxy_responses', 'Discovery responses received from the control plane.');
  metrics.counter('istio_agent_istiod_connection_failures', 'Connections to the control plane that failed.');
  metrics.counter('istio_agent_istiod_connection_terminations', 'Streams to the control plane that ended.');
  metrics.counter('istio_agent_dns_requests_total', 'DNS requests.');
  metrics.counter('istio_agent_dns_upstream_requests_total', 'DNS requests forwarded to the next resolver.');
  metrics.counter('istio_agent_dns_upstream_failures_total', 'DNS requests no resolver answered.');
  return metrics;
}

function startupSeconds(): () => number {
  const seconds = process.uptime();
  return () => seconds;
}

/** A YAML parser only when one of the texts is not JSON already. */
async function parserFor(...texts: readonly (string | undefined)[]): Promise<(text: string) => unknown> {
  return texts.some(needsYaml) ? (await import('./yaml-parser.ts')).parseYaml : JSON.parse;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function localAddresses(): string[] {
  return Object.values(networkInterfaces()).flat().flatMap((info) => (info && !info.internal && !info.address.startsWith('fe80:') ? [info.address] : []));
}
