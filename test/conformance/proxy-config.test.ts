// The istioctl corpus: proxy-config on dump files, judged cell by cell, times aside.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfigDump } from '../../src/cli/proxy-config/dump.ts';
import { filterRoutes, ROUTE_HEADER, routeRows } from '../../src/cli/proxy-config/routes.ts';
import { fullSummary } from '../../src/cli/proxy-config/summary.ts';
import { formatTable } from '../../src/cli/table.ts';
import { conformanceCases } from './corpus.ts';

interface CommandCase {
  readonly command: readonly string[];
  readonly expected?: string;
}

type Output = (text: string) => string;

const OUTPUTS: Readonly<Record<string, Output>> = {
  all: (text) => fullSummary(parseConfigDump(text), true, new Date('2026-01-01')),
  route: (text) => formatTable(ROUTE_HEADER, filterRoutes(parseConfigDump(text), undefined).flatMap((config) => routeRows(config))),
};

const cases = conformanceCases<CommandCase>('istioctl').filter(({ data }) => data.command[0] === 'proxy-config' && data.expected?.endsWith('.txt'));
const lines = (text: string) => text.split('\n').map((line) => line.trimEnd());

describe.skipIf(cases.length === 0)('istioctl corpus: proxy-config', () => {
  test.each(cases.filter(({ data }) => data.command[1]! in OUTPUTS))('$name', ({ directory, data }) => {
    const dump = readFileSync(join(directory, data.command[data.command.indexOf('--file') + 1]!), 'utf8');
    expect(lines(OUTPUTS[data.command[1]!]!(dump))).toEqual(lines(readFileSync(join(directory, data.expected!), 'utf8')));
  });
});
