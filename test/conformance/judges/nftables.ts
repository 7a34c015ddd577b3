// The nftables corpus: the rules of a sidecar pod, per table and chain in their final order.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseIptablesCommand, type Machine } from '../../../src/agent/iptables/config.ts';
import { nftText } from '../../../src/agent/iptables/nft-rules.ts';
import { fail, type Judge, sameData } from '../judge.ts';

interface NftablesCase {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly machine: Machine;
  readonly expected: string;
}

interface Chain {
  hook: string;
  readonly rules: string[];
}

/** What the kernel would hold after these commands: table to chain to rules, as it lists them. */
function state(text: string): Record<string, Record<string, Chain>> {
  const tables: Record<string, Record<string, Chain>> = {};
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const match = /^(add|insert|flush) (table|chain|rule) inet (\S+) ?(\S+)? ?(?:index (\d+) )?(.*)$/.exec(line);
    if (!match) throw new Error(`not a command of nft this judge knows: ${line}`);
    const [, verb, what, table, name, index, rest] = match;
    const chains = (tables[table!] ??= {});
    if (what === 'chain') chains[name!] = { hook: rest!, rules: [] };
    if (what !== 'rule') continue;
    const { rules } = chains[name!]!;
    if (verb === 'insert') rules.splice(Number(index ?? 0), 0, listed(rest!));
    else rules.push(listed(rest!));
  }
  return tables;
}

const MATCH = /meta l4proto \S+|(?:ip6?|tcp|udp) \S+ (?:!= )?(?:\{[^}]*\}|\S+)|ct (?:state|mark) (?:!= )?\S+|(?:iifname|oifname|skuid|skgid|mark) (?:!= )?\S+/g;

/** One rule as the kernel shows it: a port match implies its protocol, matches commute, `meta` before a socket's owner says nothing. */
function listed(rule: string): string {
  const words = rule.replaceAll('meta skuid', 'skuid').replaceAll('meta skgid', 'skgid').trim();
  const at = words.search(/(?:^| )(?:counter|tproxy) /);
  const matches = words.slice(0, at).match(MATCH) ?? [];
  const protocol = /(?:^| )(tcp|udp) [ds]port /.exec(words)?.[1];
  if (matches.join(' ') !== words.slice(0, Math.max(at, 0)).trim()) throw new Error(`not a rule this judge knows: ${rule}`);
  return `${matches.filter((one) => one !== `meta l4proto ${protocol}`).sort().join(' ')} ${words.slice(at).trim()}`.trim();
}

export const judge: Judge = {
  corpus: 'nftables',
  run: async (caseDir, caseJson) => {
    const data = caseJson as NftablesCase;
    const { command, unknown } = parseIptablesCommand(data.args, data.env, data.machine);
    if (unknown.length > 0) return fail(`unknown arguments: ${unknown.join(' ')}`);
    return sameData(state(nftText(command.config)), state(readFileSync(join(caseDir, data.expected), 'utf8')));
  },
};
