// The istioctl corpus: proxy-status from istiods' answers, tables cell by cell, JSON and YAML as data.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { statusResponse, statusTable, type SyncReport } from '../../src/cli/proxy-status.ts';
import { conformanceCases } from './corpus.ts';

interface StatusCase {
  readonly command: readonly string[];
  readonly input: string;
  readonly expected: string;
}

const cases = conformanceCases<StatusCase>('istioctl').filter(({ data }) => data.command[0] === 'proxy-status');
const lines = (text: string) => text.split('\n').map((line) => line.trimEnd());

describe.skipIf(cases.length === 0)('istioctl corpus: proxy-status', () => {
  test.each(cases)('$name', ({ directory, data }) => {
    const reports = Object.values(JSON.parse(readFileSync(join(directory, data.input), 'utf8')) as Record<string, SyncReport>);
    const option = (name: string) => (data.command.includes(name) ? data.command[data.command.indexOf(name) + 1] : undefined);
    const expected = readFileSync(join(directory, data.expected), 'utf8');
    const namespace = option('--namespace');
    if (option('-o')) expect(statusResponse(reports, namespace, '1.1')).toEqual(parse(expected));
    else {
      const verbosity = Number(data.command.find((argument) => argument.startsWith('--verbosity='))?.slice('--verbosity='.length) ?? 0);
      expect(lines(statusTable(reports, { verbosity, ...(namespace !== undefined && { namespace }) }))).toEqual(lines(expected));
    }
  });
});
