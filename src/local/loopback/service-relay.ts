/** Service addresses of a loopback cluster: listeners at every ClusterIP and port that join the caller to a ready endpoint. What iptables does in a namespace. */
import net from 'node:net';
import { createLogger } from '../../base/log.ts';
import type { Informer } from '../../kube/client/informer.ts';
import type { EndpointSlice } from '../../objects/kubernetes/endpoint-slice.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import { join } from '../host-relay.ts';
import { serviceRules, type ServiceRule } from '../service-rules.ts';
import { DNS_SERVICE_IP, NODE_IP, SERVICE_CIDR } from '../settings.ts';
import { isClusterAddress } from './address-plan.ts';

const log = createLogger('service-relay');
const DEBOUNCE_MS = 15;
const MAX_REMEMBERED = 10_000;

interface Relay {
  rule: ServiceRule;
  readonly server: net.Server;
}

/** Follows the API until the signal aborts. UDP services are not relayed. */
export async function startServiceRelays(services: Informer<Service>, slices: Informer<EndpointSlice>, signal: AbortSignal): Promise<void> {
  const open = new Map<string, Relay>();
  const apply = (): void => {
    timer = undefined;
    const wanted = new Map(serviceRules(services.items().values(), slices.items().values()).filter(isOurs).map((rule) => [`${rule.ip}:${rule.port}`, rule]));
    for (const [key, rule] of wanted) {
      const relay = open.get(key);
      if (relay) relay.rule = rule;
      else open.set(key, openRelay(rule));
    }
    for (const [key, { server }] of open) {
      if (wanted.has(key)) continue;
      server.close();
      open.delete(key);
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const schedule = (): void => void (timer ??= setTimeout(apply, DEBOUNCE_MS));
  await Promise.all([services.synced, slices.synced]);
  services.onEvent(schedule);
  slices.onEvent(schedule);
  clearTimeout(timer);
  apply();
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    for (const { server } of open.values()) server.close();
  });
}

/** DNS answers at its own address. */
function isOurs(rule: ServiceRule): boolean {
  return rule.ip !== DNS_SERVICE_IP && rule.protocol === 'tcp' && rule.ip.startsWith(`${SERVICE_CIDR.split('.').slice(0, 2).join('.')}.`);
}

function openRelay(first: ServiceRule): Relay {
  const remembered = new Map<string, { readonly backend: string; readonly untilMs: number }>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const backend = choose(relay.rule, client.remoteAddress ?? '', remembered);
    if (!backend) {
      client.on('error', () => {});
      return void client.resetAndDestroy();
    }
    // Endpoints see who calls: any address of the loopback range may be a source.
    const caller = client.remoteAddress ?? '';
    const source = isClusterAddress(caller, Number(NODE_IP.split('.')[1])) ? { localAddress: caller } : {};
    join(client, net.connect({ host: backend.ip, port: backend.port, allowHalfOpen: true, noDelay: true, ...source }));
  });
  const relay: Relay = { rule: first, server };
  server.on('error', (error) => log.warn('service address not served', { service: relay.rule.name, address: `${relay.rule.ip}:${relay.rule.port}`, error: error.message }));
  server.listen(first.port, first.ip);
  return relay;
}

type Backend = ServiceRule['backends'][number];

/** Any backend, or the caller's last one where the service asks for session affinity. */
function choose(rule: ServiceRule, caller: string, remembered: Map<string, { readonly backend: string; readonly untilMs: number }>): Backend | undefined {
  const { backends, affinitySeconds } = rule;
  const keyOf = ({ ip, port }: Backend): string => `${ip}:${port}`;
  const known = affinitySeconds === undefined ? undefined : remembered.get(caller);
  const kept = known && known.untilMs > Date.now() ? backends.find((backend) => keyOf(backend) === known.backend) : undefined;
  const backend = kept ?? backends[Math.floor(Math.random() * backends.length)];
  if (backend && affinitySeconds !== undefined) {
    if (remembered.size > MAX_REMEMBERED) remembered.clear();
    remembered.set(caller, { backend: keyOf(backend), untilMs: Date.now() + affinitySeconds * 1000 });
  }
  return backend;
}
