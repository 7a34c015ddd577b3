/** Service addresses as iptables rules: one pure function from Services and EndpointSlices to the text of iptables-restore. */
import { createHash } from 'node:crypto';
import type { EndpointSlice } from '../objects/kubernetes/endpoint-slice.ts';
import type { Service, ServicePort } from '../objects/kubernetes/service.ts';
import { NODE_IP, POD_CIDR, SERVICE_CIDR } from './settings.ts';

/** Where a service port leads. */
interface Backend {
  readonly ip: string;
  readonly port: number;
}

/** One port of one service address. */
export interface ServiceRule {
  readonly name: string;
  readonly ip: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly backends: readonly Backend[];
  /** sessionAffinity ClientIP: how long a client stays with its backend. */
  readonly affinitySeconds?: number;
}

const DEFAULT_AFFINITY_SECONDS = 10_800;

/** Ready backends of every service port with a cluster address, sorted so that equal states give equal text. */
export function serviceRules(services: Iterable<Service>, slices: Iterable<EndpointSlice>): readonly ServiceRule[] {
  const byService = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const owner = slice.metadata.labels?.['kubernetes.io/service-name'];
    if (owner === undefined || slice.addressType !== 'IPv4') continue;
    const key = `${slice.metadata.namespace}/${owner}`;
    byService.set(key, [...(byService.get(key) ?? []), slice]);
  }
  const rules: ServiceRule[] = [];
  for (const service of services) {
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    const ips = [service.spec.clusterIP, ...(service.spec.externalIPs ?? [])].filter((ip): ip is string => ip !== undefined && isIPv4(ip));
    if (service.spec.type === 'ExternalName') continue;
    for (const port of service.spec.ports ?? []) {
      const protocol = (port.protocol ?? 'TCP').toLowerCase();
      if (protocol !== 'tcp' && protocol !== 'udp') continue;
      const backends = backendsOf(port, protocol, byService.get(key) ?? []);
      const affinity = service.spec.sessionAffinity === 'ClientIP' ? { affinitySeconds: service.spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS } : {};
      for (const ip of ips) rules.push({ name: `${key}:${port.name ?? ''}`, ip, port: port.port, protocol, backends, ...affinity });
    }
  }
  return rules.sort((a, b) => (`${a.ip} ${a.port} ${a.protocol}` < `${b.ip} ${b.port} ${b.protocol}` ? -1 : 1));
}

function backendsOf(port: ServicePort, protocol: string, slices: readonly EndpointSlice[]): readonly Backend[] {
  const found = new Map<string, Backend>();
  const terminating = new Map<string, Backend>();
  for (const slice of slices) {
    const target = slice.ports?.find((candidate) => (candidate.name ?? '') === (port.name ?? '') && (candidate.protocol ?? 'TCP').toLowerCase() === protocol)?.port;
    if (target === undefined) continue;
    for (const { addresses, conditions } of slice.endpoints ?? []) {
      const into = conditions?.ready !== false ? found : conditions.serving && conditions.terminating ? terminating : undefined;
      for (const ip of into ? addresses : []) if (isIPv4(ip)) into!.set(`${ip}:${target}`, { ip, port: target });
    }
  }
  // As kube-proxy: endpoints that are on their way out serve only when there is nothing else.
  const chosen = found.size > 0 ? found : terminating;
  return [...chosen.keys()].sort().map((key) => chosen.get(key)!);
}

function isIPv4(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && text.split('.').every((part) => Number(part) <= 255);
}

const NAT_CHAIN = 'MELTEMI-SERVICES';
const MASQUERADE = 'MELTEMI-MASQ';
const FILTER_CHAIN = 'MELTEMI-REJECT';
/** Connections that must be masqueraded carry this mark between the chains, as in kube-proxy. */
const MASQUERADE_MARK = '0x4000/0x4000';

/**
 * The complete input of `iptables-restore --noflush`: our chains are declared (which empties them) and filled; chains of services that are gone
 * (`stale`) are removed. The base chains are hooked once, see {@link hookRules}.
 */
export function renderServiceRules(rules: readonly ServiceRule[], stale: readonly string[] = []): string {
  const chains: string[] = [];
  const nat: string[] = [];
  const filter: string[] = [];
  for (const rule of rules) {
    const match = `-d ${rule.ip}/32 -p ${rule.protocol} -m ${rule.protocol} --dport ${rule.port}`;
    if (rule.backends.length === 0) {
      filter.push(`-A ${FILTER_CHAIN} ${match} -j REJECT --reject-with ${rule.protocol === 'tcp' ? 'tcp-reset' : 'icmp-port-unreachable'}`);
      continue;
    }
    const chain = chainName('SVC', [rule.name, rule.ip, rule.port, rule.protocol]);
    chains.push(chain);
    nat.push(`-A ${NAT_CHAIN} ${match} -j ${chain}`);
    const targets = rule.backends.map((backend) => chainName('SEP', [rule.name, rule.ip, rule.port, rule.protocol, backend.ip, backend.port]));
    chains.push(...targets);
    nat.push(...affinityRules(rule, chain, targets), ...spread(chain, targets));
    for (const [index, backend] of rule.backends.entries()) {
      const target = targets[index]!;
      // A pod that reaches itself through its service would answer itself directly.
      nat.push(`-A ${target} -s ${backend.ip}/32 -j MARK --set-xmark ${MASQUERADE_MARK}`);
      const remember = rule.affinitySeconds === undefined ? '' : `-m recent --name ${target} --set --mask 255.255.255.255 --rsource `;
      nat.push(`-A ${target} -p ${rule.protocol} -m ${rule.protocol} ${remember}-j DNAT --to-destination ${backend.ip}:${backend.port}`);
    }
  }
  // Nothing else answers in the service range: an address that no service has is refused at once instead of timing out.
  filter.push(`-A ${FILTER_CHAIN} -d ${SERVICE_CIDR} -p tcp -j REJECT --reject-with tcp-reset`, `-A ${FILTER_CHAIN} -d ${SERVICE_CIDR} -j REJECT --reject-with icmp-port-unreachable`);
  const gone = stale.filter((chain) => !chains.includes(chain));
  return [
    '*nat', `:${NAT_CHAIN} - [0:0]`, ...[...chains, ...gone].map((chain) => `:${chain} - [0:0]`), ...nat, ...gone.map((chain) => `-X ${chain}`), 'COMMIT',
    '*filter', `:${FILTER_CHAIN} - [0:0]`, ...filter, 'COMMIT', '',
  ].join('\n');
}

/** The chains that {@link renderServiceRules} makes for these rules: what must be removed when they are gone. */
export function serviceChains(text: string): readonly string[] {
  return [...text.matchAll(/^:(MELTEMI-(?:SVC|SEP)-[A-Z2-7]+) /gm)].map((match) => match[1]!);
}

function affinityRules(rule: ServiceRule, chain: string, targets: readonly string[]): readonly string[] {
  if (rule.affinitySeconds === undefined) return [];
  return targets.map((target) => `-A ${chain} -m recent --name ${target} --rcheck --seconds ${rule.affinitySeconds} --reap --mask 255.255.255.255 --rsource -j ${target}`);
}

/** Equal chances: the first of n with 1/n, the next of the rest, the last always. */
function spread(chain: string, targets: readonly string[]): readonly string[] {
  return targets.map((target, index) => {
    const left = targets.length - index;
    return left === 1 ? `-A ${chain} -j ${target}` : `-A ${chain} -m statistic --mode random --probability ${(1 / left).toFixed(10)} -j ${target}`;
  });
}

function chainName(kind: 'SVC' | 'SEP', parts: readonly (string | number)[]): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const digest = createHash('sha256').update(parts.join('|')).digest();
  return `MELTEMI-${kind}-${[...digest.subarray(0, 13)].map((byte) => alphabet[byte & 31]).join('')}`;
}

/** Joins our chains to the built-in ones; applied once, when the network is made. */
export function hookRules(): string {
  return [
    '*nat',
    `:${NAT_CHAIN} - [0:0]`,
    `:${MASQUERADE} - [0:0]`,
    `-A PREROUTING -d ${SERVICE_CIDR} -j ${NAT_CHAIN}`,
    `-A OUTPUT -d ${SERVICE_CIDR} -j ${NAT_CHAIN}`,
    `-A POSTROUTING -j ${MASQUERADE}`,
    `-A ${MASQUERADE} -m mark ! --mark ${MASQUERADE_MARK} -j RETURN`,
    `-A ${MASQUERADE} -j MARK --set-xmark 0x4000/0x0`,
    `-A ${MASQUERADE} -s ${POD_CIDR} -j SNAT --to-source ${NODE_IP}`,
    'COMMIT',
    '*filter',
    `:${FILTER_CHAIN} - [0:0]`,
    `-A INPUT -d ${SERVICE_CIDR} -j ${FILTER_CHAIN}`,
    `-A FORWARD -d ${SERVICE_CIDR} -j ${FILTER_CHAIN}`,
    `-A OUTPUT -d ${SERVICE_CIDR} -j ${FILTER_CHAIN}`,
    'COMMIT',
    '',
  ].join('\n');
}
