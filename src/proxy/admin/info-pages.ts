/** `/server_info`, `/memory`, `/certs`, `/listeners`. */
import { X509Certificate } from 'node:crypto';
import type { TlsSecret } from '../../xds/secret-source.ts';
import type { ListenerRuntime, ProxyNode } from '../config/runtime.ts';

/** `PRE_INITIALIZING` until the first configuration is in force; `DRAINING` after `/healthcheck/fail` or a drain. */
export type ServerState = 'LIVE' | 'DRAINING' | 'PRE_INITIALIZING';

/** @see envoy.admin.v3.ServerInfo */
export function serverInfo(facts: { readonly version: string; readonly state: ServerState; readonly uptimeMs: number; readonly logLevel: string; readonly node: ProxyNode }): unknown {
  const uptime = `${Math.floor(facts.uptimeMs / 1000)}s`;
  return {
    version: facts.version,
    state: facts.state,
    uptime_current_epoch: uptime,
    uptime_all_epochs: uptime,
    hot_restart_version: 'disabled',
    command_line_options: { concurrency: 1, mode: 'Serve', log_level: facts.logLevel, service_cluster: facts.node.cluster, service_node: facts.node.id, disable_hot_restart: true },
    node: nodeJson(facts.node),
  };
}

/** The node as it stands in bootstrap and server info. */
export function nodeJson(node: ProxyNode): Readonly<Record<string, unknown>> {
  return { id: node.id, cluster: node.cluster, metadata: node.metadata };
}

/** @see envoy.admin.v3.Memory */
export function memory(): unknown {
  const { heapUsed, heapTotal, rss, external } = process.memoryUsage();
  return { allocated: String(heapUsed), heap_size: String(heapTotal), pageheap_unmapped: '0', pageheap_free: String(heapTotal - heapUsed), total_thread_cache: String(external), total_physical_bytes: String(rss) };
}

/** @see envoy.admin.v3.Certificates */
export function certificates(secrets: Iterable<TlsSecret>, nowMs: number): unknown {
  const list: unknown[] = [];
  for (const secret of secrets) {
    if (secret.kind === 'certificate') list.push({ ca_cert: [], cert_chain: details(secret.certificateChainPem, nowMs) });
    else list.push({ ca_cert: details(secret.trustedCaPem, nowMs), cert_chain: [] });
  }
  return { certificates: list };
}

/** Days until the first certificate of any secret ends; undefined without certificates. */
export function firstExpiryDays(secrets: Iterable<TlsSecret>, nowMs: number): number | undefined {
  let first: number | undefined;
  for (const secret of secrets) {
    for (const certificate of parsePem(secret.kind === 'certificate' ? secret.certificateChainPem : secret.trustedCaPem)) {
      const days = daysUntil(certificate, nowMs);
      if (first === undefined || days < first) first = days;
    }
  }
  return first;
}

function details(pem: string, nowMs: number): readonly unknown[] {
  return parsePem(pem).map((certificate) => ({
    path: '<inline>',
    serial_number: certificate.serialNumber.toLowerCase(),
    subject_alt_names: (certificate.subjectAltName ?? '').split(', ').flatMap((name): readonly Readonly<Record<string, string>>[] => {
      const [kind, value] = [name.slice(0, name.indexOf(':')), name.slice(name.indexOf(':') + 1)];
      return kind === 'URI' ? [{ uri: value }] : kind === 'DNS' ? [{ dns: value }] : kind === 'IP Address' ? [{ ip_address: value }] : [];
    }),
    days_until_expiration: String(daysUntil(certificate, nowMs)),
    valid_from: new Date(certificate.validFrom).toISOString(),
    expiration_time: new Date(certificate.validTo).toISOString(),
  }));
}

function daysUntil(certificate: X509Certificate, nowMs: number): number {
  return Math.max(0, Math.floor((new Date(certificate.validTo).getTime() - nowMs) / 86_400_000));
}

/** Certificates of a PEM text; broken ones are left out. */
function parsePem(pem: string): readonly X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []).flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}

/** `name::address:port` a line. */
export function listenersText(listeners: Iterable<ListenerRuntime>): string {
  let text = '';
  for (const { name, address, port } of listeners) text += `${name}::${address.includes(':') ? `[${address}]` : address}:${port}\n`;
  return text;
}

/** @see envoy.admin.v3.Listeners */
export function listenersJson(listeners: Iterable<ListenerRuntime>): unknown {
  return { listener_statuses: [...listeners].map(({ name, address, port }) => ({ name, local_address: { socket_address: { address, port_value: port } } })) };
}
