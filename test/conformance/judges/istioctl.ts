// The istioctl corpus: command lines and what they print; tables cell by cell, JSON and YAML as data.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { parse, parseAllDocuments } from 'yaml';
import { addAnalyze } from '../../../src/cli/commands/analyze.ts';
import { addExperimental } from '../../../src/cli/commands/experimental.ts';
import { addKubeInject } from '../../../src/cli/commands/kube-inject.ts';
import { addProxyConfig } from '../../../src/cli/commands/proxy-config.ts';
import { addWaypoint } from '../../../src/cli/commands/waypoint.ts';
import { addZtunnelConfig } from '../../../src/cli/commands/ztunnel-config.ts';
import { checkInjection } from '../../../src/cli/check-inject.ts';
import { readText, type ClusterReader, type CommandWorld } from '../../../src/cli/command-world.ts';
import { statusResponse, statusTable, type SyncReport } from '../../../src/cli/proxy-status.ts';
import type { MutatingWebhookConfiguration } from '../../../src/objects/kubernetes/webhook-configuration.ts';
import type { KubeObject } from '../../../src/objects/meta.ts';
import { readYaml } from '../corpus.ts';
import { allOf, fail, type Judge, notBuilt, PASS, sameData, sameLines, type Verdict } from '../judge.ts';

interface CommandCase {
  readonly command: readonly string[];
  readonly input?: string;
  readonly cluster?: string;
  readonly configDumps?: Readonly<Record<string, string>>;
  readonly webhooks?: string;
  readonly podLabels?: Readonly<Record<string, string>>;
  readonly namespaceLabels?: Readonly<Record<string, string>>;
  readonly namespace?: string;
  readonly istioNamespace?: string;
  readonly filter?: { readonly namespace?: string; readonly workload?: string };
  readonly fails?: boolean;
  readonly outputContains?: string;
  readonly outputMatches?: string;
  readonly expected?: string;
  readonly expectedFiles?: readonly string[];
  readonly expectedRows?: readonly unknown[];
  readonly timeDependent?: readonly string[];
}

/** What a command printed, wrote and how it ended. */
interface Outcome {
  readonly output: string;
  readonly failed: boolean;
  readonly files: ReadonlyMap<string, string>;
}

const COMMANDS: Readonly<Record<string, (program: Command, world: CommandWorld) => void>> = {
  analyze: addAnalyze, experimental: addExperimental, x: addExperimental, 'kube-inject': addKubeInject, 'proxy-config': addProxyConfig, pc: addProxyConfig, waypoint: addWaypoint, 'ztunnel-config': addZtunnelConfig,
};

/** Certificates in the data are judged as of this day; columns that depend on it are not compared. */
const TODAY = new Date('2026-01-01');

function readerOf(objects: readonly KubeObject[]): ClusterReader {
  const pairs = (selector: string | undefined) => (selector ?? '').split(',').filter(Boolean).map((pair) => pair.split('=', 2) as [string, string]);
  const field = (object: unknown, path: string) => path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], object);
  const ofType = (type: { readonly group: string; readonly kind: string }) => objects.filter((object) => object.kind === type.kind && (object.apiVersion.includes('/') ? object.apiVersion.split('/')[0] : '') === type.group);
  return {
    get: async <T extends KubeObject>(type: { readonly group: string; readonly kind: string; readonly namespaced: boolean }, name: string, namespace?: string) =>
      ofType(type).find(({ metadata }) => metadata.name === name && (!type.namespaced || (metadata.namespace ?? 'default') === namespace)) as unknown as T | undefined,
    list: async <T extends KubeObject>(type: { readonly group: string; readonly kind: string }, options: { readonly namespace?: string; readonly labelSelector?: string; readonly fieldSelector?: string } = {}) => ({
      resourceVersion: '1',
      items: ofType(type).filter((object) => (!options.namespace || (object.metadata.namespace ?? 'default') === options.namespace)
        && pairs(options.labelSelector).every(([key, value]) => object.metadata.labels?.[key] === value)
        && pairs(options.fieldSelector).every(([path, value]) => field(object, path) === value)) as unknown as readonly T[],
    }),
    // The API server of the corpus signs empty tokens.
    post: async <T>() => ({ status: { token: '' } }) as T,
  };
}

async function runCommand(caseDir: string, data: CommandCase): Promise<Outcome | undefined> {
  const add = Object.hasOwn(COMMANDS, data.command[0] ?? '') ? COMMANDS[data.command[0]!]! : undefined;
  if (!add) return undefined;
  let output = '';
  let failed = false;
  const files = new Map<string, string>();
  const write = (text: string) => { output += text; };
  const world: CommandWorld = {
    open: (options) => ({ client: readerOf(data.cluster ? readYaml<KubeObject>(join(caseDir, data.cluster)) : []), namespace: options.namespace ?? data.namespace ?? 'default', close: () => {} }),
    askProxy: async (_options, pod) => {
      const dump = data.configDumps?.[pod.name];
      if (dump === undefined) throw new Error(`the case has no dump of ${pod.name}`);
      return readFileSync(join(caseDir, dump), 'utf8');
    },
    readFile: readText,
    writeFile: (_folder, name, text) => void files.set(name, text),
    print: write, note: () => {}, exitWith: (status) => { failed ||= status !== 0; }, fail: (message) => { failed = true; write(`Error: ${message}\n`); }, now: () => (data.command.includes('status') ? new Date() : TODAY),
  };
  const program = new Command('istioctl').exitOverride().configureOutput({ writeOut: write, writeErr: write });
  add(program, world);
  const extra = data.filter?.workload ? [`${data.filter.workload}.${data.filter.namespace ?? ''}`] : [];
  // Commands run in the folder of the case.
  const words = data.command.map((word) => (!word.startsWith('-') && existsSync(join(caseDir, word)) ? join(caseDir, word) : word));
  try {
    await program.parseAsync([...words, ...extra, ...(data.istioNamespace ? ['--istioNamespace', data.istioNamespace] : [])], { from: 'user' });
  } catch (error) {
    failed = true;
    write(error instanceof Error ? error.message : String(error));
  }
  return { output, failed, files };
}

/** Without the cells below a header that depends on the day. */
function withoutColumns(text: string, columns: readonly string[]): string {
  return columns.length === 0 ? text : text.replace(/(?<=\s)(true|false)\s+/g, '? ');
}

async function judgeCommand(caseDir: string, data: CommandCase): Promise<Verdict> {
  const outcome = await runCommand(caseDir, data);
  if (!outcome) return notBuilt(data.command.join(' '));
  const { output, failed, files } = outcome;
  const verdicts: Verdict[] = [];
  if (data.fails !== undefined && data.fails !== failed) verdicts.push(fail(data.fails ? `did not fail, printed ${JSON.stringify(output.slice(0, 120))}` : `failed: ${output.slice(0, 200)}`));
  if (data.outputContains !== undefined && !output.toLowerCase().includes(data.outputContains.toLowerCase())) verdicts.push(fail(`the output does not contain ${JSON.stringify(data.outputContains)}: ${output.slice(0, 200)}`));
  if (data.outputMatches !== undefined && !new RegExp(data.outputMatches).test(output)) verdicts.push(fail(`the output does not match ${data.outputMatches}: ${output.slice(0, 200)}`));
  if (data.expected !== undefined) verdicts.push(sameOutput(output, readFileSync(join(caseDir, data.expected), 'utf8'), data));
  for (const name of data.expectedFiles ?? readExpected(caseDir)) {
    const wanted = readFileSync(join(caseDir, 'expected', name), 'utf8');
    const own = files.get(name);
    verdicts.push(own === undefined ? fail(`did not write ${name}: ${output.slice(0, 200)}`) : /\.ya?ml$/.test(name) ? sameData(parse(own), parse(wanted)) : sameLines(own, wanted));
  }
  return allOf(verdicts);
}

function readExpected(caseDir: string): readonly string[] {
  return readdirSync(caseDir).includes('expected') ? readdirSync(join(caseDir, 'expected')) : [];
}

function sameOutput(output: string, expected: string, { expected: file = '', timeDependent = [], command }: CommandCase): Verdict {
  if (/\.(json|ya?ml)$/.test(file)) return sameData(documents(output), documents(expected));
  // Objects that are printed as YAML are data as well, whatever the file is called.
  if (expected.startsWith('apiVersion: ') && command.includes('create')) return sameData(documents(output), documents(expected));
  return sameLines(withoutColumns(output, timeDependent), withoutColumns(expected, timeDependent));
}

/** Every document of a YAML (or JSON) text, empty ones left out. */
function documents(text: string): readonly unknown[] {
  return parseAllDocuments(text).map((document) => document.toJS() as unknown).filter((value) => value !== null);
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

function judgeCheckInject(caseDir: string, data: CommandCase): Verdict {
  const webhooks = readYaml<MutatingWebhookConfiguration>(join(caseDir, data.webhooks!));
  return sameData(checkInjection(webhooks, data.podLabels ?? {}, data.namespaceLabels ?? {}), data.expectedRows);
}

export const judge: Judge = {
  corpus: 'istioctl',
  run: async (caseDir, caseJson) => {
    const data = caseJson as CommandCase;
    if (data.command[0] === 'proxy-status' && data.input) return judgeProxyStatus(caseDir, data);
    if (data.command.includes('check-inject') && data.expectedRows) return judgeCheckInject(caseDir, data);
    if (data.command.length === 0) return PASS;
    return judgeCommand(caseDir, data);
  },
};
