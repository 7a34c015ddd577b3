// The DNS proxy of one agent: the table from the control plane, the listener on 15053.
import { readFileSync } from 'node:fs';
import { createLogger } from '../../base/log.ts';
import { messageOf } from '../../base/errors.ts';
import type { DnsServer } from '../../agent/dns/dns-server.ts';
import type { NameInfo, NameTableIndex } from '../../agent/dns/name-table.ts';
import { parseResolvConf } from '../../agent/dns/resolv-conf.ts';
import type { AgentMetrics } from '../../agent/status/metrics.ts';
import type { AgentSettings } from '../../agent/settings.ts';
import type { UpdateHandler } from '../../xds/ads.ts';

const log = createLogger('dns');

export interface NameService {
  /** Takes name tables; undefined when DNS is not captured and nobody would ask. */
  readonly onNameTable: UpdateHandler | undefined;
  /** The table as JSON, for /debug/ndsz. */
  describe(): unknown;
  close(): void;
}

/** Starts the listener when the pod's DNS is captured (ISTIO_META_DNS_CAPTURE). */
export function openNameService(settings: AgentSettings, metrics: AgentMetrics): NameService {
  let hosts: ReadonlyMap<string, NameInfo> = new Map();
  let index: NameTableIndex | undefined;
  let server: DnsServer | undefined;
  let closed = false;
  if (!settings.dnsCapture) return { onNameTable: undefined, describe: () => ({}), close: () => {} };
  const resolvConf = parseResolvConf(readResolvConf());
  const build = import('../../agent/dns/name-table.ts');
  const start = async (): Promise<void> => {
    const { openDnsServer } = await import('../../agent/dns/dns-server.ts');
    const opened = await openDnsServer({
      address: '127.0.0.1', port: settings.ports.dns, table: () => index, upstream: resolvConf.servers.map((host) => ({ host, port: 53 })),
      onRequest: (kind) => {
        metrics.count('istio_agent_dns_requests_total');
        if (kind === 'forwarded') metrics.count('istio_agent_dns_upstream_requests_total');
        if (kind === 'failed') metrics.count('istio_agent_dns_upstream_failures_total');
      },
    });
    if (closed) opened.close();
    else server = opened;
  };
  start().catch((thrown: unknown) => log.error('DNS proxy cannot listen', { port: settings.ports.dns, error: messageOf(thrown) }));
  return {
    onNameTable: ({ updated }) => {
      const table = updated[updated.length - 1];
      if (table) void takeTable(table.value).catch((thrown: unknown) => log.warn('unusable name table', { error: messageOf(thrown) }));
      return undefined;
    },
    describe: () => Object.fromEntries([...hosts].map(([host, { ips, registry, shortname, namespace }]) => [host, { ips, registry, shortname, namespace }])),
    close: () => ((closed = true), server?.close()),
  };

  async function takeTable(bytes: Uint8Array): Promise<void> {
    const [{ fromBinary }, { NameTableSchema }, { NameTableIndex: Index }] = await Promise.all([import('@bufbuild/protobuf'), import('../../xds/gen/istio/nds/nds_pb.ts'), build]);
    const message = fromBinary(NameTableSchema, bytes);
    hosts = new Map(Object.entries(message.table).map(([host, info]) => [host, { ips: info.ips, registry: info.registry, shortname: info.shortname, namespace: info.namespace, altHosts: info.altHosts }]));
    const namespace = settings.identity.metadata['NAMESPACE'];
    index = new Index(hosts, typeof namespace === 'string' ? namespace : 'default', resolvConf.searches);
    log.debug('name table', { hosts: hosts.size });
  }
}

function readResolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    return '';
  }
}
