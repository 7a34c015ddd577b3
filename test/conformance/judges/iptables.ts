// The iptables corpus: the rules of a sidecar pod, per family, table and chain in order.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseIptablesCommand, type Machine } from '../../../src/agent/iptables/config.ts';
import { buildRules, ruleText, type Family } from '../../../src/agent/iptables/rules.ts';
import { allOf, fail, type Judge, sameData, type Verdict } from '../judge.ts';

interface IptablesCase {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly machine: Machine;
  readonly expectedRules: string;
}

type Expected = Partial<Record<Family, Record<string, { chains: string[]; rules: string[] }>>>;

/** Chains to rules in their final order, options of a rule sorted by their first word. */
function chains(rules: readonly string[]): Map<string, string[]> {
  const byChain = new Map<string, string[]>();
  for (const rule of rules) {
    const match = /^-([AI]) (\S+) (?:(\d+) )?(.*)$/.exec(rule)!;
    const list = byChain.get(match[2]!) ?? [];
    const text = normalise(match[4]!);
    if (match[1] === 'I') list.splice(Number(match[3] ?? 1) - 1, 0, text);
    else list.push(text);
    byChain.set(match[2]!, list);
  }
  return byChain;
}

function normalise(text: string): string {
  const [matches, target] = text.split(/(?= ?-j )/);
  const groups = matches!.trim().split(/ (?=(?:! )?-{1,2}[a-z])/).filter(Boolean);
  return `${groups.sort().join(' ')} ${(target ?? '').trim().replace('--to-ports', '--to-port')}`;
}

function judgeFamily(own: ReturnType<typeof buildRules>[Family], tables: Readonly<Record<string, { chains: string[]; rules: string[] }>>): Verdict {
  const verdicts = [sameData([...new Set(own.map((rule) => rule.table))].sort(), Object.keys(tables).sort())];
  for (const [table, want] of Object.entries(tables)) {
    const rules = own.filter((rule) => rule.table === table);
    verdicts.push(sameData([...new Set(rules.map((rule) => rule.chain))].filter((chain) => chain.startsWith('ISTIO_')).sort(), [...want.chains].sort()));
    verdicts.push(sameData(Object.fromEntries(chains(rules.map(ruleText))), Object.fromEntries(chains(want.rules))));
  }
  return allOf(verdicts);
}

export const judge: Judge = {
  corpus: 'iptables',
  run: async (caseDir, caseJson) => {
    const data = caseJson as IptablesCase;
    const { command, unknown } = parseIptablesCommand(data.args, data.env, data.machine);
    if (unknown.length > 0) return fail(`unknown arguments: ${unknown.join(' ')}`);
    const expected = JSON.parse(readFileSync(join(caseDir, data.expectedRules), 'utf8')) as Expected;
    const actual = buildRules(command.config);
    return allOf((['ipv4', 'ipv6'] as const).map((family) => judgeFamily(actual[family], expected[family] ?? {})));
  },
};
