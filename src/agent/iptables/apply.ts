// Puts the rules into the kernel of the current network namespace, and takes them out again.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { createLogger } from '../../base/log.ts';
import type { IptablesCommand, IptablesConfig, Machine } from './config.ts';
import { nftCleanupText, nftText } from './nft-rules.ts';
import { buildRules, restoreText, ruleText, type Family, type Rule } from './rules.ts';

const log = createLogger('iptables');
const TOOLS: Readonly<Record<Family, { readonly command: string; readonly restore: string; readonly save: string }>> = {
  ipv4: { command: 'iptables', restore: 'iptables-restore', save: 'iptables-save' },
  ipv6: { command: 'ip6tables', restore: 'ip6tables-restore', save: 'ip6tables-save' },
};
const BUILT_IN = /^-A (PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) /;

/** Reads what the rules need to know from this network namespace and /etc/resolv.conf. */
export function readMachine(): Machine {
  const addresses = Object.values(networkInterfaces()).flat().filter((info) => info && !info.internal && !info.address.startsWith('fe80:'));
  let resolvers: string[] = [];
  try {
    resolvers = [...readFileSync('/etc/resolv.conf', 'utf8').matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1]!.replace(/%.*$/, ''));
  } catch {
    // No resolver: DNS capture has nothing to capture.
  }
  return {
    ipv6: addresses.some((info) => info?.family === 'IPv6'),
    dnsServersV4: resolvers.filter((server) => !server.includes(':')),
    dnsServersV6: resolvers.filter((server) => server.includes(':')),
  };
}

/** Runs istio-iptables: removes what an earlier run left, then applies. Throws with the tool's own words when the kernel refuses. */
export function runIptables(command: IptablesCommand, write: (text: string) => void): void {
  const { config } = command;
  if (command.nftables) {
    runNftables(command, write);
    return;
  }
  const rules = buildRules(config);
  const families: readonly Family[] = config.ipv6 ? ['ipv4', 'ipv6'] : ['ipv4'];
  if (command.dryRun) {
    for (const family of families) write(`# ${TOOLS[family].restore} --noflush\n${restoreText(rules[family])}`);
    return;
  }
  for (const family of families) cleanFamily(family, rules[family]);
  if (command.cleanup || command.skipRuleApply) return;
  if (config.ipv6) ensure('ip', ['-6', 'addr', 'add', '::6/128', 'dev', 'lo'], /File exists|assigned/);
  for (const family of families) {
    const text = restoreText(rules[family]);
    log.debug(`${TOOLS[family].restore} --noflush`, { text });
    run(TOOLS[family].restore, ['--noflush'], text);
  }
  if (config.interceptionMode === 'TPROXY') routeMarked(config, families);
}

/** The same with nftables: one transaction replaces our tables, those of others stay. */
function runNftables(command: IptablesCommand, write: (text: string) => void): void {
  const { config } = command;
  const text = command.cleanup ? nftCleanupText() : nftText(config);
  if (command.dryRun) {
    write(`# nft -f -\n${text}`);
    return;
  }
  if (command.skipRuleApply) return;
  // Tables that this configuration does not need any more go as well.
  run('nft', ['-f', '-'], command.cleanup ? text : `${nftCleanupText()}${text}`);
  if (command.cleanup) return;
  if (config.ipv6) ensure('ip', ['-6', 'addr', 'add', '::6/128', 'dev', 'lo'], /File exists|assigned/);
  if (config.interceptionMode === 'TPROXY') routeMarked(config, config.ipv6 ? ['ipv4', 'ipv6'] : ['ipv4']);
}

function routeMarked(config: IptablesConfig, families: readonly Family[]): void {
  for (const family of families) {
    const flag = family === 'ipv4' ? '-4' : '-6';
    ensure('ip', [flag, 'rule', 'add', 'fwmark', config.tproxyMark, 'lookup', config.tproxyRouteTable], /File exists/);
    ensure('ip', [flag, 'route', 'add', 'local', 'default', 'dev', 'lo', 'table', config.tproxyRouteTable], /File exists/);
  }
}

/** Removes every jump into our chains, then the chains. Rules of others stay. */
function cleanFamily(family: Family, own: readonly Rule[]): void {
  const tools = TOOLS[family];
  const saved = spawnSync(tools.save, [], { encoding: 'utf8' });
  if (saved.error || saved.status !== 0 || !saved.stdout.includes('ISTIO_')) return;
  const lines: string[] = [];
  for (const section of saved.stdout.split(/^\*/m).slice(1)) {
    const table = section.slice(0, section.indexOf('\n'));
    const chains = [...section.matchAll(/^:(ISTIO_\S+)/gm)].map((match) => match[1]!);
    const jumps = section.split('\n').filter((line) => BUILT_IN.test(line) && / -j ISTIO_/.test(line));
    if (chains.length === 0 && jumps.length === 0) continue;
    lines.push(`*${table}`, ...jumps.map((line) => line.replace(/^-A/, '-D')), ...chains.map((chain) => `-F ${chain}`), ...chains.map((chain) => `-X ${chain}`), 'COMMIT');
  }
  if (lines.length > 0) run(tools.restore, ['--noflush'], `${lines.join('\n')}\n`);
  // Rules of ours that stand in built-in chains without a jump (excluded interfaces, marks): delete each if it is there.
  for (const rule of own)
    if (!rule.chain.startsWith('ISTIO_') && !rule.params.some((param) => param.startsWith('ISTIO_')))
      spawnSync(tools.command, ['-t', rule.table, '-D', rule.chain, ...ruleText(rule).split(' ').slice(rule.position === undefined ? 2 : 3)], { stdio: 'ignore' });
}

function run(program: string, args: readonly string[], input: string): void {
  const result = spawnSync(program, args, { input, encoding: 'utf8' });
  if (result.error) throw new Error(`${program} cannot be run (${result.error.message}); install the package ${program === 'nft' ? 'nftables' : 'iptables'}`);
  if (result.status !== 0) throw new Error(`${program} failed with status ${result.status}: ${result.stderr.trim()}`);
}

function ensure(program: string, args: readonly string[], already: RegExp): void {
  const result = spawnSync(program, args, { encoding: 'utf8' });
  if (result.error) throw new Error(`${program} cannot be run: ${result.error.message}`);
  if (result.status !== 0 && !already.test(result.stderr)) throw new Error(`${program} ${args.join(' ')} failed: ${result.stderr.trim()}`);
}
