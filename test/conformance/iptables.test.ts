import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseIptablesCommand, type Machine } from '../../src/agent/iptables/config.ts';
import { buildRules, ruleText, type Family } from '../../src/agent/iptables/rules.ts';
import { conformanceCases } from './corpus.ts';

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

const cases = conformanceCases<IptablesCase>('iptables');

describe.skipIf(cases.length === 0)('iptables corpus', () => {
  test.each(cases.map((one) => [one.name, one] as const))('%s', (_name, { directory, data }) => {
    const { command, unknown } = parseIptablesCommand(data.args, data.env, data.machine);
    expect(unknown).toEqual([]);
    const expected = JSON.parse(readFileSync(join(directory, data.expectedRules), 'utf8')) as Expected;
    const actual = buildRules(command.config);
    for (const family of ['ipv4', 'ipv6'] as const) {
      const tables = expected[family] ?? {};
      const own = actual[family];
      expect([...new Set(own.map((rule) => rule.table))].sort()).toEqual(Object.keys(tables).sort());
      for (const [table, want] of Object.entries(tables)) {
        const rules = own.filter((rule) => rule.table === table);
        expect([...new Set(rules.map((rule) => rule.chain))].filter((chain) => chain.startsWith('ISTIO_')).sort()).toEqual([...want.chains].sort());
        expect(chains(rules.map(ruleText))).toEqual(chains(want.rules));
      }
    }
  });
});
