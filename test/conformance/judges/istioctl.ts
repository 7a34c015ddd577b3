// The istioctl corpus: command lines and what they print; tables cell by cell, JSON and YAML as data.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { parseConfigDump } from '../../../src/cli/proxy-config/dump.ts';
import { filterRoutes, ROUTE_HEADER, routeRows } from '../../../src/cli/proxy-config/routes.ts';
import { fullSummary } from '../../../src/cli/proxy-config/summary.ts';
import { statusResponse, statusTable, type SyncReport } from '../../../src/cli/proxy-status.ts';
import { formatTable } from '../../../src/cli/table.ts';
import { type Judge, notBuilt, sameData, sameLines, type Verdict } from '../judge.ts';

interface CommandCase {
  readonly command: readonly string[];
  readonly input?: string;
  readonly expected?: string;
}

const PROXY_CONFIG: Readonly<Record<string, (dump: string) => string>> = {
  all: (text) => fullSummary(parseConfigDump(text), true, new Date('2026-01-01')),
  route: (text) => formatTable(ROUTE_HEADER, filterRoutes(parseConfigDump(text), undefined).flatMap((config) => routeRows(config))),
};

function judgeProxyConfig(caseDir: string, data: CommandCase): Verdict {
  const show = PROXY_CONFIG[data.command[1] ?? ''];
  if (!show || !data.expected?.endsWith('.txt')) return notBuilt(data.command.join(' '));
  const dump = readFileSync(join(caseDir, data.command[data.command.indexOf('--file') + 1]!), 'utf8');
  return sameLines(show(dump), readFileSync(join(caseDir, data.expected), 'utf8'));
}

function judgeProxyStatus(caseDir: string, data: CommandCase): Verdict {
  const reports = Object.values(JSON.parse(readFileSync(join(caseDir, data.input!), 'utf8')) as Record<string, SyncReport>);
  const option = (name: string) => (data.command.includes(name) ? data.command[data.command.indexOf(name) + 1] : undefined);
  const expected = readFileSync(join(caseDir, data.expected!), 'utf8');
  const namespace = option('--namespace');
  if (option('-o')) return sameData(statusResponse(reports, namespace, '1.1'), parse(expected));
  const verbosity = Number(data.command.find((argument) => argument.startsWith('--verbosity='))?.slice('--verbosity='.length) ?? 0);
  return sameLines(statusTable(reports, { verbosity, ...(namespace !== undefined && { namespace }) }), expected);
}

export const judge: Judge = {
  corpus: 'istioctl',
  run: async (caseDir, caseJson) => {
    const data = caseJson as CommandCase;
    if (data.command[0] === 'proxy-config') return judgeProxyConfig(caseDir, data);
    if (data.command[0] === 'proxy-status') return judgeProxyStatus(caseDir, data);
    return notBuilt(data.command.join(' '));
  },
};
