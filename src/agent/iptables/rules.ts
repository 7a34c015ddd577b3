// Traffic capture of a sidecar pod as rules: pure, one function per reason a rule exists, in the order the chains need.
import { splitList, type IptablesConfig } from './config.ts';

/** `iptables` or `ip6tables`. */
export type Family = 'ipv4' | 'ipv6';

/** One rule of one table; `position` is set for rules that go in front of others. */
export interface Rule {
  readonly table: string;
  readonly chain: string;
  readonly position?: number;
  readonly params: readonly string[];
}

/** Rules of both families, each in the order they must be applied. IPv6 is empty when the pod has no IPv6 address. */
export type RuleSet = Readonly<Record<Family, readonly Rule[]>>;

/** A rule with the family it is for; without one it holds for both. */
export interface FamilyRule extends Rule {
  readonly family?: Family;
}

const DNS_PORT = '15053';
/** Mark of packets that leave the proxy towards its own pod, TPROXY mode only. */
const OUTBOUND_MARK = '1338';
/** Placeholder for a value that differs between the families. */
const V = '\0';

class RuleList {
  readonly sequence: FamilyRule[] = [];

  constructor(private readonly ipv6: boolean) {}

  /** `values` replaces the placeholder, first for IPv4, then for IPv6. */
  add(table: string, chain: string, text: string, values?: readonly [string, string], position?: number): void {
    if (!values) {
      this.push(undefined, table, chain, text, position);
      return;
    }
    this.only('ipv4', table, chain, text.replace(V, values[0]), position);
    this.only('ipv6', table, chain, text.replace(V, values[1]), position);
  }

  only(family: Family, table: string, chain: string, text: string, position?: number): void {
    if (family === 'ipv6' && !this.ipv6) return;
    this.push(family, table, chain, text, position);
  }

  private push(family: Family | undefined, table: string, chain: string, text: string, position: number | undefined): void {
    this.sequence.push({ ...(family ? { family } : {}), table, chain, params: text.split(' '), ...(position === undefined ? {} : { position }) });
  }
}

/**
 * The rules of a configuration. Chains: PREROUTING → ISTIO_INBOUND → ISTIO_IN_REDIRECT (15006), OUTPUT → ISTIO_OUTPUT → ISTIO_REDIRECT (15001).
 * @see https://istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio
 */
export function buildRules(config: IptablesConfig): RuleSet {
  const sequence = buildRuleSequence(config);
  const of = (family: Family): Rule[] => sequence.filter((rule) => rule.family === undefined || rule.family === family);
  return { ipv4: of('ipv4'), ipv6: config.ipv6 ? of('ipv6') : [] };
}

/** The same rules as one list for both families, in the order they must be applied. */
export function buildRuleSequence(config: IptablesConfig): readonly FamilyRule[] {
  const list = new RuleList(config.ipv6);
  const dns = config.redirectDns && (config.captureAllDns || config.dnsServersV4.length > 0 || config.dnsServersV6.length > 0);
  leaveInterfacesAlone(list, config);
  if (config.dropInvalid) {
    list.add('mangle', 'PREROUTING', '-m conntrack --ctstate INVALID -j ISTIO_DROP');
    list.add('mangle', 'ISTIO_DROP', '-j DROP');
  }
  list.add('nat', 'ISTIO_INBOUND', `-p tcp --dport ${config.inboundTunnelPort} -j RETURN`);
  list.add('nat', 'ISTIO_REDIRECT', `-p tcp -j REDIRECT --to-ports ${config.proxyPort}`);
  list.add('nat', 'ISTIO_IN_REDIRECT', `-p tcp -j REDIRECT --to-ports ${config.inboundCapturePort}`);
  captureInbound(list, config);
  list.add('nat', 'OUTPUT', '-j ISTIO_OUTPUT');
  for (const port of splitList(config.outboundPortsExclude)) {
    list.add('nat', 'ISTIO_OUTPUT', `-p tcp --dport ${port} -j RETURN`);
    list.add('nat', 'ISTIO_OUTPUT', `-p udp --dport ${port} -j RETURN`);
  }
  exemptProxy(list, config, dns);
  exemptGroups(list, config);
  if (dns) captureDns(list, config);
  list.add('nat', 'ISTIO_OUTPUT', `-d ${V} -j RETURN`, loopback(config));
  captureOutbound(list, config);
  if (config.interceptionMode === 'TPROXY') markForTproxy(list, config);
  return list.sequence;
}

function loopback(config: IptablesConfig): readonly [string, string] {
  return [config.hostIpv4LoopbackCidr, '::1/128'];
}

function leaveInterfacesAlone(list: RuleList, config: IptablesConfig): void {
  for (const table of config.interceptionMode === 'TPROXY' ? ['nat', 'mangle'] : ['nat'])
    for (const name of splitList(config.excludeInterfaces)) {
      list.add(table, 'PREROUTING', `-i ${name} -j RETURN`);
      list.add(table, 'OUTPUT', `-o ${name} -j RETURN`);
    }
  for (const name of splitList(config.rerouteVirtualInterfaces)) list.add('nat', 'PREROUTING', `-i ${name} -j RETURN`, undefined, 1);
}

function captureInbound(list: RuleList, config: IptablesConfig): void {
  if (config.inboundPortsInclude === '') return;
  const tproxy = config.interceptionMode === 'TPROXY';
  const table = tproxy ? 'mangle' : 'nat';
  if (tproxy) {
    list.add(table, 'ISTIO_DIVERT', `-j MARK --set-mark ${config.tproxyMark}`);
    list.add(table, 'ISTIO_DIVERT', '-j ACCEPT');
    list.add(table, 'ISTIO_TPROXY', `! -d ${V} -p tcp -j TPROXY --tproxy-mark ${config.tproxyMark}/0xffffffff --on-port ${config.inboundCapturePort}`, loopback(config));
  }
  list.add(table, 'PREROUTING', '-p tcp -j ISTIO_INBOUND');
  const all = config.inboundPortsInclude === '*';
  if (all) for (const port of splitList(config.inboundPortsExclude)) list.add(table, 'ISTIO_INBOUND', `-p tcp --dport ${port} -j RETURN`);
  for (const match of all ? ['-p tcp'] : splitList(config.inboundPortsInclude).map((port) => `-p tcp --dport ${port}`)) {
    // Packets of connections that exist already only need the mark that routes them to loopback.
    if (tproxy) list.add(table, 'ISTIO_INBOUND', `${match} -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT`);
    list.add(table, 'ISTIO_INBOUND', `${match} -j ${tproxy ? 'ISTIO_TPROXY' : 'ISTIO_IN_REDIRECT'}`);
  }
}

/** Who is the proxy: a match, its negation, and whether it also sends DNS (the agent's lookups must not come back through the inbound side). */
function proxyIdentities(config: IptablesConfig): readonly { readonly is: string; readonly isNot: string; readonly user: boolean }[] {
  if (config.proxyMark !== '') return [{ is: `-m mark --mark ${config.proxyMark}`, isNot: `-m mark ! --mark ${config.proxyMark}`, user: true }];
  return [
    ...splitList(config.proxyUid).map((uid) => ({ is: `-m owner --uid-owner ${uid}`, isNot: `-m owner ! --uid-owner ${uid}`, user: true })),
    ...splitList(config.proxyGid).map((gid) => ({ is: `-m owner --gid-owner ${gid}`, isNot: `-m owner ! --gid-owner ${gid}`, user: false })),
  ];
}

function exemptProxy(list: RuleList, config: IptablesConfig, dns: boolean): void {
  // The inbound proxy reaches the application from 127.0.0.6; that is delivery, not a call.
  list.add('nat', 'ISTIO_OUTPUT', `-o lo -s ${V} -j RETURN`, ['127.0.0.6/32', '::6/128']);
  // gRPC to the control plane leaves from sockets that cannot be marked, so the mark alone would send it into the proxy that is waiting for it.
  if (config.proxyMark !== '') list.add('nat', 'ISTIO_OUTPUT', '-p tcp -m multiport --dports 15010,15012 -j RETURN');
  const loopbackTaken = splitList(config.outboundIpRangesInclude).some((cidr) => cidr.startsWith('127.') || cidr.startsWith('::1/'));
  for (const { is, isNot, user } of proxyIdentities(config)) {
    const ports = dns && user ? `-m multiport ! --dports 53,${config.inboundTunnelPort}` : `! --dport ${config.inboundTunnelPort}`;
    // A pod that calls its own service: application → proxy (outbound) → proxy (inbound) → application.
    list.add('nat', 'ISTIO_OUTPUT', `-o lo ! -d ${V} -p tcp ${ports} ${is} -j ISTIO_IN_REDIRECT`, loopback(config));
    // A pod that calls its own address stays on loopback, except DNS over TCP to a local resolver, which is captured below.
    if (!loopbackTaken) list.add('nat', 'ISTIO_OUTPUT', `-o lo ${dns ? '-p tcp ! --dport 53 ' : ''}${isNot} -j RETURN`);
    list.add('nat', 'ISTIO_OUTPUT', `${is} -j RETURN`);
  }
}

function exemptGroups(list: RuleList, config: IptablesConfig): void {
  const include = splitList(config.ownerGroupsInclude);
  if (config.ownerGroupsInclude === '*') {
    for (const group of splitList(config.ownerGroupsExclude)) list.add('nat', 'ISTIO_OUTPUT', `-m owner --gid-owner ${group} -j RETURN`);
    return;
  }
  // An empty list captures nobody.
  list.add('nat', 'ISTIO_OUTPUT', [...include.map((group) => `-m owner ! --gid-owner ${group}`), '-j RETURN'].join(' '));
}

function captureDns(list: RuleList, config: IptablesConfig): void {
  const families = [['ipv4', config.dnsServersV4, '/32'], ['ipv6', config.dnsServersV6, '/128']] as const;
  list.add('raw', 'OUTPUT', '-j ISTIO_OUTPUT_DNS');
  for (const [family, servers] of families) if (config.captureAllDns || servers.length > 0) list.only(family, 'nat', 'ISTIO_OUTPUT', '-j ISTIO_OUTPUT_DNS');
  for (const [protocol, option] of [['tcp', '--to-ports'], ['udp', '--to-port']] as const) {
    if (config.captureAllDns) list.add('nat', 'ISTIO_OUTPUT_DNS', `-p ${protocol} --dport 53 -j REDIRECT ${option} ${DNS_PORT}`);
    else
      for (const [family, servers, length] of families)
        for (const server of servers) list.only(family, 'nat', 'ISTIO_OUTPUT_DNS', `-p ${protocol} --dport 53 -d ${server}${length} -j REDIRECT ${option} ${DNS_PORT}`);
  }
  separateDnsZones(list, config, families);
}

/** Zone 1 is agent ↔ resolver, zone 2 application ↔ agent: one connection tracking entry must not serve both. */
function separateDnsZones(list: RuleList, config: IptablesConfig, families: readonly (readonly [Family, readonly string[], string])[]): void {
  for (const { is } of proxyIdentities(config)) {
    list.add('raw', 'ISTIO_OUTPUT_DNS', `-p udp --dport 53 ${is} -j CT --zone 1`);
    list.add('raw', 'ISTIO_OUTPUT_DNS', `-p udp --sport ${DNS_PORT} ${is} -j CT --zone 2`);
  }
  if (config.captureAllDns) {
    list.add('raw', 'PREROUTING', '-j ISTIO_INBOUND');
    list.add('raw', 'ISTIO_OUTPUT_DNS', '-p udp --dport 53 -j CT --zone 2');
    list.add('raw', 'ISTIO_INBOUND', '-p udp --sport 53 -j CT --zone 1');
    return;
  }
  for (const [family, servers, length] of families) {
    if (servers.length > 0) list.only(family, 'raw', 'PREROUTING', '-j ISTIO_INBOUND');
    for (const server of servers) {
      list.only(family, 'raw', 'ISTIO_OUTPUT_DNS', `-p udp --dport 53 -d ${server}${length} -j CT --zone 2`);
      list.only(family, 'raw', 'ISTIO_INBOUND', `-p udp --sport 53 -s ${server}${length} -j CT --zone 1`);
    }
  }
}

function captureOutbound(list: RuleList, config: IptablesConfig): void {
  const familyOf = (cidr: string): Family => (cidr.includes(':') ? 'ipv6' : 'ipv4');
  for (const cidr of splitList(config.outboundIpRangesExclude)) list.only(familyOf(cidr), 'nat', 'ISTIO_OUTPUT', `-d ${cidr} -j RETURN`);
  for (const port of splitList(config.outboundPortsInclude)) list.add('nat', 'ISTIO_OUTPUT', `-p tcp --dport ${port} -j ISTIO_REDIRECT`);
  const interfaces = splitList(config.rerouteVirtualInterfaces);
  if (config.outboundIpRangesInclude === '*') {
    list.add('nat', 'ISTIO_OUTPUT', '-j ISTIO_REDIRECT');
    for (const name of interfaces) list.add('nat', 'PREROUTING', `-i ${name} -j ISTIO_REDIRECT`, undefined, 1);
    return;
  }
  for (const cidr of splitList(config.outboundIpRangesInclude)) {
    for (const name of interfaces) list.only(familyOf(cidr), 'nat', 'PREROUTING', `-i ${name} -d ${cidr} -j ISTIO_REDIRECT`, 1);
    list.only(familyOf(cidr), 'nat', 'ISTIO_OUTPUT', `-d ${cidr} -j ISTIO_REDIRECT`);
  }
}

function markForTproxy(list: RuleList, config: IptablesConfig): void {
  const mark = config.tproxyMark;
  list.add('mangle', 'PREROUTING', `-p tcp -m mark --mark ${mark} -j CONNMARK --save-mark`);
  list.add('mangle', 'OUTPUT', `-p tcp -o lo -m mark --mark ${mark} -j RETURN`);
  for (const { is } of proxyIdentities(config)) list.add('mangle', 'OUTPUT', `! -d ${V} -p tcp -o lo ${is} -j MARK --set-mark ${OUTBOUND_MARK}`, loopback(config));
  list.add('mangle', 'OUTPUT', `-p tcp -m connmark --mark ${mark} -j CONNMARK --restore-mark`);
  list.add('mangle', 'ISTIO_INBOUND', `-p tcp -m mark --mark ${mark} -j RETURN`, undefined, 1);
  list.add('mangle', 'ISTIO_INBOUND', `-p tcp -s ${V} -i lo -j RETURN`, ['127.0.0.6/32', '::6/128'], 2);
  list.add('mangle', 'ISTIO_INBOUND', `-p tcp -i lo -m mark ! --mark ${OUTBOUND_MARK} -j RETURN`, undefined, 3);
}

/** Rules as `iptables-restore --noflush` reads them: chains are created, or emptied when they exist. Empty text when there are no rules. */
export function restoreText(rules: readonly Rule[]): string {
  const lines: string[] = [];
  for (const table of [...new Set(rules.map((rule) => rule.table))].sort()) {
    const own = rules.filter((rule) => rule.table === table);
    lines.push(`*${table}`);
    for (const chain of new Set(own.map((rule) => rule.chain))) if (chain.startsWith('ISTIO_')) lines.push(`:${chain} - [0:0]`);
    for (const rule of own) lines.push(ruleText(rule));
    lines.push('COMMIT');
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** One rule as arguments of iptables, `-A CHAIN …` or `-I CHAIN n …`. */
export function ruleText(rule: Rule): string {
  return `${rule.position === undefined ? `-A ${rule.chain}` : `-I ${rule.chain} ${rule.position}`} ${rule.params.join(' ')}`;
}
