// The same capture as nftables text: one table of family inet per iptables table, so that IPv4 and IPv6 share their rules.
import type { IptablesConfig } from './config.ts';
import { buildRuleSequence, type FamilyRule } from './rules.ts';

/** Base chains by table: where the kernel calls them. Marks on outgoing packets change the route, hence `route`. */
const BASE_CHAINS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  nat: { prerouting: 'type nat hook prerouting priority -100', output: 'type nat hook output priority -100' },
  mangle: { prerouting: 'type filter hook prerouting priority -150', output: 'type route hook output priority -150' },
  raw: { prerouting: 'type filter hook prerouting priority -300', output: 'type filter hook output priority -300' },
};

/** Tables in the order they are written. */
const TABLES = Object.keys(BASE_CHAINS);

/** Commands for `nft -f -` that put the capture of a configuration in place of an earlier one. */
export function nftText(config: IptablesConfig): string {
  const sequence = buildRuleSequence(config);
  return TABLES.map((table) => tableText(table, sequence.filter((rule) => rule.table === table))).join('');
}

/** Commands that remove everything of ours; they succeed when there is nothing. */
export function nftCleanupText(): string {
  return TABLES.map((table) => `add table ${tableName(table)}\ndelete table ${tableName(table)}\n`).join('');
}

function tableName(table: string): string {
  return `inet istio-proxy-${table}`;
}

function chainName(chain: string): string {
  return chain.toLowerCase().replaceAll('_', '-');
}

function tableText(table: string, rules: readonly FamilyRule[]): string {
  if (rules.length === 0) return '';
  const name = tableName(table);
  const chains = new Map<string, string[]>();
  for (const rule of rules) {
    const chain = chainName(rule.chain);
    const list = chains.get(chain) ?? [];
    chains.set(chain, list);
    const text = nftRule(rule);
    // A jump without conditions stands once, whichever family asked for it.
    if (text.startsWith('counter jump') && list.includes(text)) continue;
    if (rule.position === undefined) list.push(text);
    else list.splice(rule.position - 1, 0, text);
  }
  const hooks = BASE_CHAINS[table]!;
  const lines = [`add table ${name}`, `flush table ${name}`];
  for (const chain of chains.keys()) lines.push(`add chain ${name} ${chain}${Object.hasOwn(hooks, chain) ? ` { ${hooks[chain]} ; }` : ''}`);
  for (const [chain, list] of chains) for (const text of list) lines.push(`add rule ${name} ${chain} ${text}`);
  return `${lines.join('\n')}\n`;
}

/** What one iptables rule matches on, in the words and the order nft shows. */
interface Matches {
  interfaces: string[];
  protocol: string;
  addresses: string[];
  ports: string[];
  others: string[];
}

/** One rule: its matches, a counter, and what happens. */
function nftRule(rule: FamilyRule): string {
  const at = rule.params.indexOf('-j');
  const found = readMatches(rule.params.slice(0, at));
  // Packets out of any connection matter only where the proxy would answer them with a reset.
  if (found.others.includes('ct state invalid')) found.protocol ||= 'tcp';
  const protocol = found.protocol !== '' && found.ports.length === 0 ? [`meta l4proto ${found.protocol}`] : [];
  return [...found.interfaces, ...protocol, ...found.addresses, ...found.ports, ...found.others, verdict(rule.params.slice(at + 1), rule.family)].join(' ');
}

function readMatches(params: readonly string[]): Matches {
  const found: Matches = { interfaces: [], protocol: '', addresses: [], ports: [], others: [] };
  let negated = false;
  let module = '';
  for (let i = 0; i < params.length; i++) {
    const word = params[i]!;
    if (word === '!') {
      negated = true;
      continue;
    }
    const value = params[++i] ?? '';
    const is = negated ? '!= ' : '';
    negated = false;
    if (word === '-m') module = value;
    else if (word === '-p') found.protocol = value;
    else if (word === '-i' || word === '-o') found.interfaces.push(`${word === '-i' ? 'iifname' : 'oifname'} ${is}${value}`);
    else if (word === '-d' || word === '-s') found.addresses.push(`${value.includes(':') ? 'ip6' : 'ip'} ${word === '-d' ? 'daddr' : 'saddr'} ${is}${value}`);
    else if (word === '--dport' || word === '--sport') found.ports.push(`${found.protocol} ${word.slice(2)} ${is}${value}`);
    else if (word === '--dports') found.ports.push(`${found.protocol} dport ${is}{ ${value.split(',').join(', ')} }`);
    else if (word === '--uid-owner' || word === '--gid-owner') found.others.push(`${word === '--uid-owner' ? 'skuid' : 'skgid'} ${is}${value}`);
    else if (word === '--mark') found.others.push(`${module === 'connmark' ? 'ct mark' : 'mark'} ${is}${value}`);
    else if (word === '--ctstate') found.others.push(`ct state ${is}${value.toLowerCase()}`);
    else throw new Error(`no nftables word for ${word}`);
  }
  return found;
}

function verdict([target = '', ...options]: readonly string[], family: FamilyRule['family']): string {
  const value = (name: string): string => options[options.indexOf(name) + 1] ?? '';
  if (target.startsWith('ISTIO_')) return `counter jump ${chainName(target)}`;
  if (target === 'REDIRECT') return `counter redirect to :${value(options[0]!)}`;
  if (target === 'MARK') return `counter meta mark set ${value('--set-mark')}`;
  if (target === 'CT') return `counter ct zone set ${value('--zone')}`;
  if (target === 'CONNMARK') return options.includes('--save-mark') ? 'counter ct mark set mark' : 'counter meta mark set ct mark';
  if (target === 'TPROXY') return `tproxy ${family === 'ipv6' ? 'ip6' : 'ip'} to :${value('--on-port')} meta mark set ${value('--tproxy-mark').split('/')[0]} counter accept`;
  return `counter ${target.toLowerCase()}`;
}
