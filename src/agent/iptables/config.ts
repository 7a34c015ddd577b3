// What istio-iptables is told: flags, then environment, then defaults; and the checks that refuse nonsense before a rule is written.

/** Everything that decides which rules are written. Lists are comma separated, as on the command line. */
export interface IptablesConfig {
  /** Port that captured outbound TCP goes to. Default 15001. */
  readonly proxyPort: string;
  /** Port that captured inbound TCP goes to. Default 15006. */
  readonly inboundCapturePort: string;
  /** HBONE port, never captured. Default 15008. */
  readonly inboundTunnelPort: string;
  /** Users whose traffic is not captured. Default 1337. */
  readonly proxyUid: string;
  /** Groups whose traffic is not captured. Default: the users. */
  readonly proxyGid: string;
  /** `REDIRECT` or `TPROXY`; empty is REDIRECT. */
  readonly interceptionMode: string;
  readonly tproxyMark: string;
  readonly tproxyRouteTable: string;
  /** Inbound ports to capture, `*` for all, empty for none. */
  readonly inboundPortsInclude: string;
  /** Applies only when all inbound ports are captured. */
  readonly inboundPortsExclude: string;
  readonly ownerGroupsInclude: string;
  readonly ownerGroupsExclude: string;
  readonly outboundPortsInclude: string;
  readonly outboundPortsExclude: string;
  /** CIDRs to capture, `*` for all, empty for none. */
  readonly outboundIpRangesInclude: string;
  readonly outboundIpRangesExclude: string;
  /** Interfaces whose inbound traffic (from a virtual machine) is treated as outbound. */
  readonly rerouteVirtualInterfaces: string;
  /** Interfaces that are left alone. */
  readonly excludeInterfaces: string;
  /** Send DNS to the agent on 15053. */
  readonly redirectDns: boolean;
  /** Capture DNS to every server instead of those of resolv.conf. */
  readonly captureAllDns: boolean;
  readonly dnsServersV4: readonly string[];
  readonly dnsServersV6: readonly string[];
  readonly dropInvalid: boolean;
  readonly ipv6: boolean;
  readonly hostIpv4LoopbackCidr: string;
  /**
   * Packet mark of the proxy's own connections. When it is set the proxy is told apart by mark instead of by user: in a user namespace with one uid every
   * process has the same owner, and the kernel refuses owner rules for users that are not mapped.
   */
  readonly proxyMark: string;
}

/** What the machine contributes: known only where the rules are applied. */
export interface Machine {
  readonly ipv6: boolean;
  readonly dnsServersV4: readonly string[];
  readonly dnsServersV6: readonly string[];
}

/** How the program runs, beside the rules themselves. */
export interface IptablesCommand {
  readonly config: IptablesConfig;
  readonly dryRun: boolean;
  readonly cleanup: boolean;
  readonly skipRuleApply: boolean;
  /** Write nftables rules instead of iptables ones. */
  readonly nftables: boolean;
  /** Flags that are understood and asked for, but do nothing here: the caller says so. */
  readonly ignored: readonly string[];
}

type Env = Readonly<Record<string, string | undefined>>;

/** Flags with a value: long name, short name, default. The environment variable is the long name in capitals. */
const VALUE_FLAGS = [
  ['envoy-port', 'p', '15001'],
  ['inbound-capture-port', 'z', '15006'],
  ['inbound-tunnel-port', 'e', '15008'],
  ['proxy-uid', 'u', ''],
  ['proxy-gid', 'g', ''],
  ['istio-inbound-interception-mode', 'm', ''],
  ['istio-inbound-ports', 'b', ''],
  ['istio-local-exclude-ports', 'd', ''],
  ['istio-exclude-interfaces', 'c', ''],
  ['istio-service-cidr', 'i', ''],
  ['istio-service-exclude-cidr', 'x', ''],
  ['istio-outbound-ports', 'q', ''],
  ['istio-local-outbound-ports-exclude', 'o', ''],
  ['kube-virt-interfaces', 'k', ''],
  ['istio-inbound-tproxy-mark', 't', '1337'],
  ['istio-inbound-tproxy-route-table', 'r', '133'],
  ['network-namespace', '', ''],
  ['iptables-probe-port', '', '15002'],
  ['probe-timeout', '', '5s'],
  ['log_output_level', '', ''],
] as const;

const BOOLEAN_FLAGS: readonly (readonly [name: string, short: string])[] = [
  ['dry-run', 'n'], ['iptables-trace-logging', ''], ['restore-format', 'f'], ['skip-rule-apply', ''], ['run-validation', ''], ['redirect-dns', ''],
  ['drop-invalid', ''], ['capture-all-dns', ''], ['dual-stack', ''], ['cni-mode', ''], ['cleanup', ''], ['log_as_json', ''], ['force-apply', ''],
  ['native-nftables', ''], ['reconcile', ''],
];

/** Checking the rules after a CNI plugin wrote them, rules that only log. */
const UNSUPPORTED = ['run-validation', 'iptables-trace-logging', 'cni-mode'] as const;

/** Reads flags and environment. Unknown flags come back in `unknown`, so that the caller can refuse by name. */
export function parseIptablesCommand(args: readonly string[], env: Env, machine: Machine): { readonly command: IptablesCommand; readonly unknown: readonly string[] } {
  const { given, unknown } = readFlags(args);
  const value = (name: (typeof VALUE_FLAGS)[number][0]): string => {
    const flag = given.get(name) ?? env[name.toUpperCase().replaceAll('-', '_')];
    return flag !== undefined && flag !== '' ? flag : given.has(name) ? '' : (VALUE_FLAGS.find(([long]) => long === name)?.[2] ?? '');
  };
  const flag = (name: string, variable = name.toUpperCase().replaceAll('-', '_')): boolean => isTrue(given.get(name) ?? env[variable]);
  // The agent's own lookups leave from sockets without the mark: captured, they would come back to it for ever.
  const redirectDns = flag('redirect-dns', 'ISTIO_META_DNS_CAPTURE') && !env['MELTEMI_SO_MARK'];
  const captureAllDns = flag('capture-all-dns');
  const proxyUid = value('proxy-uid') || '1337';
  const resolvers = redirectDns && !captureAllDns ? machine : { dnsServersV4: [], dnsServersV6: [] };
  const config: IptablesConfig = {
    proxyPort: value('envoy-port'), inboundCapturePort: value('inbound-capture-port'), inboundTunnelPort: value('inbound-tunnel-port'),
    proxyUid, proxyGid: value('proxy-gid') || proxyUid,
    interceptionMode: value('istio-inbound-interception-mode'),
    tproxyMark: value('istio-inbound-tproxy-mark'), tproxyRouteTable: value('istio-inbound-tproxy-route-table'),
    inboundPortsInclude: value('istio-inbound-ports'), inboundPortsExclude: value('istio-local-exclude-ports'),
    ownerGroupsInclude: env['ISTIO_OUTBOUND_OWNER_GROUPS'] ?? '*', ownerGroupsExclude: env['ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE'] ?? '',
    outboundPortsInclude: value('istio-outbound-ports'), outboundPortsExclude: value('istio-local-outbound-ports-exclude'),
    outboundIpRangesInclude: value('istio-service-cidr'), outboundIpRangesExclude: value('istio-service-exclude-cidr'),
    rerouteVirtualInterfaces: value('kube-virt-interfaces'), excludeInterfaces: value('istio-exclude-interfaces'),
    redirectDns, captureAllDns, dnsServersV4: resolvers.dnsServersV4, dnsServersV6: resolvers.dnsServersV6,
    dropInvalid: flag('drop-invalid', 'INVALID_DROP'),
    ipv6: machine.ipv6,
    hostIpv4LoopbackCidr: env['ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR'] || '127.0.0.1/32',
    proxyMark: env['MELTEMI_SO_MARK'] ?? '',
  };
  return { command: { config, dryRun: flag('dry-run'), cleanup: flag('cleanup'), skipRuleApply: flag('skip-rule-apply'), nftables: flag('native-nftables'), ignored: UNSUPPORTED.filter((name) => flag(name)) }, unknown };
}

function readFlags(args: readonly string[]): { given: Map<string, string>; unknown: string[] } {
  const given = new Map<string, string>();
  const unknown: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const match = /^(?:--([\w-]+)(?:=(.*))?|-(\w)=?(.+)?)$/s.exec(args[i]!);
    if (!match) {
      unknown.push(args[i]!);
      continue;
    }
    const [, long, longValue, short, shortValue] = match;
    const boolean = BOOLEAN_FLAGS.find(([name, letter]) => name === long || (short !== undefined && letter === short));
    const valued = VALUE_FLAGS.find(([name, letter]) => name === long || (short !== undefined && letter === short));
    if (boolean) given.set(boolean[0], longValue ?? shortValue ?? 'true');
    else if (valued) given.set(valued[0], longValue ?? shortValue ?? args[++i] ?? '');
    else unknown.push(args[i]!);
  }
  return { given, unknown };
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && ['1', 't', 'true', 'T', 'TRUE', 'True'].includes(text);
}

/** Elements of a comma separated list, without empty ones. */
export function splitList(text: string): string[] {
  return text.split(',').filter((part) => part !== '');
}

/** What makes the rules impossible, as sentences; empty when they can be built. */
export function validateIptablesConfig(config: IptablesConfig): string[] {
  const problems: string[] = [];
  const ports: readonly (readonly [string, string, boolean])[] = [
    ['envoy-port', config.proxyPort, false], ['inbound-capture-port', config.inboundCapturePort, false], ['inbound-tunnel-port', config.inboundTunnelPort, false],
    ['istio-inbound-ports', config.inboundPortsInclude, true], ['istio-local-exclude-ports', config.inboundPortsExclude, false],
    ['istio-outbound-ports', config.outboundPortsInclude, false], ['istio-local-outbound-ports-exclude', config.outboundPortsExclude, false],
  ];
  for (const [flag, text, wildcard] of ports) {
    if (wildcard && text === '*') continue;
    for (const port of splitList(text)) if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) problems.push(`--${flag}: ${JSON.stringify(port)} is not a port`);
  }
  for (const [flag, text] of [['istio-service-cidr', config.outboundIpRangesInclude], ['istio-service-exclude-cidr', config.outboundIpRangesExclude]] as const) {
    if (text === '*' && flag === 'istio-service-exclude-cidr') problems.push(`--${flag}: * would exclude everything`);
    if (text === '*') continue;
    for (const cidr of splitList(text)) if (!/^[0-9a-fA-F.:]+\/\d{1,3}$/.test(cidr)) problems.push(`--${flag}: ${JSON.stringify(cidr)} is not a CIDR`);
  }
  for (const [flag, text] of [['istio-exclude-interfaces', config.excludeInterfaces], ['kube-virt-interfaces', config.rerouteVirtualInterfaces]] as const)
    for (const name of splitList(text)) if (!/^[\w.@:+-]{1,15}$/.test(name)) problems.push(`--${flag}: ${JSON.stringify(name)} is not an interface name`);
  for (const name of [...splitList(config.proxyUid), ...splitList(config.proxyGid), ...splitList(config.ownerGroupsExclude), ...splitList(config.ownerGroupsInclude)])
    if (name !== '*' && !/^[\w.-]+$/.test(name)) problems.push(`${JSON.stringify(name)} is not a user or group`);
  if (!['', 'REDIRECT', 'TPROXY'].includes(config.interceptionMode)) problems.push(`--istio-inbound-interception-mode: ${JSON.stringify(config.interceptionMode)} is neither REDIRECT nor TPROXY`);
  for (const mark of [config.tproxyMark, config.proxyMark]) if (mark !== '' && !/^(0x[0-9a-fA-F]+|\d+)$/.test(mark)) problems.push(`${JSON.stringify(mark)} is not a packet mark`);
  if (splitList(config.ownerGroupsInclude).filter((group) => group !== '*').length > 64) problems.push('ISTIO_OUTBOUND_OWNER_GROUPS names more than 64 groups');
  return problems;
}
