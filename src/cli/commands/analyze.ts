/** `analyze`: findings about files, about what runs, or about both together. */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { parse } from 'yaml';
import type { Issue } from '../../base/issue.ts';
import { analyze, ANALYZERS, OPTIONAL_ANALYZERS } from '../../analysis/analyze.ts';
import { ORIGIN } from '../../analysis/message.ts';
import { ApiError } from '../../kube/client/client.ts';
import type { MeshConfig } from '../../objects/istio/mesh-config.ts';
import type { ConfigMap } from '../../objects/kubernetes/config-map.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { KINDS } from '../../objects/registry.ts';
import { withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { guarded, REAL_WORLD, type ClusterReader, type CommandWorld } from '../command-world.ts';
import { formatOption, issueLine, dataText } from '../output.ts';
import { readFiles, type FileObject } from '../read-files.ts';

interface Flags extends ClusterOptions {
  readonly allNamespaces?: boolean;
  readonly useKube: boolean;
  readonly recursive?: boolean;
  readonly output: 'log' | 'json' | 'yaml';
  readonly listAnalyzers?: boolean;
  readonly analyzer: readonly string[];
  readonly meshConfigFile?: string;
  readonly suppress: readonly string[];
  readonly failureThreshold: string;
  readonly outputThreshold: string;
}

/** istioctl's exit code for "issues were found". */
const FOUND_ISSUES = 79;
const LEVELS = ['info', 'warning', 'error'];
const READ_KINDS = ['Namespace', 'Pod', 'Service', 'Deployment', 'ConfigMap', 'Secret', 'Node', 'MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration', 'CustomResourceDefinition'];
const READ_GROUPS = /(^|\.)istio\.io$|^gateway\.networking\.k8s\.io$/;

export function addAnalyze(program: Command, world = REAL_WORLD): void {
  withClusterOptions(program.command('analyze [files...]').description('Find mistakes in Istio configuration, in files and in the cluster'))
    .option('-A, --all-namespaces', 'analyze all namespaces')
    .option('--use-kube [yes]', 'also look at the cluster; false looks only at the files', (value: string) => value !== 'false', true)
    .option('--no-use-kube', 'look only at the files')
    .option('-R, --recursive', 'go into folders')
    .addOption(formatOption('format of the findings', 'log'))
    .option('--analyzer <name>', 'run only this analyzer; may be repeated', (value: string, previous: readonly string[]) => [...previous, value], [])
    .option('--meshConfigFile <file>', 'mesh configuration instead of the cluster\'s')
    .option('-L, --list-analyzers', 'list the analyzers')
    .option('-S, --suppress <code=resource>', 'leave out a code on a resource, e.g. "IST0102=Namespace default"; * matches; may be repeated', (value: string, previous: readonly string[]) => [...previous, value], [])
    .addOption(levelOption('--failure-threshold <level>', 'exit with 79 from this level on', 'Error'))
    .addOption(levelOption('--output-threshold <level>', 'print from this level on', 'Info'))
    .action(async (files: readonly string[], flags: Flags) => {
      if (flags.listAnalyzers) return world.print(`${Object.keys(ANALYZERS).join('\n')}\n`);
      await guarded(world, () => run(world, files, flags));
    });
}

/** Levels are taken in any case, as istioctl takes them. */
function levelOption(flags: string, description: string, fallback: string): Option {
  return new Option(flags, `${description}: Info, Warning or Error`).default(fallback).argParser((value: string) => {
    if (!LEVELS.includes(value.toLowerCase())) throw new InvalidArgumentError('It is Info, Warning or Error.');
    return value;
  });
}

async function run(world: CommandWorld, files: readonly string[], flags: Flags): Promise<void> {
  const unknown = flags.analyzer.find((name) => !(name in ANALYZERS) && !(name in OPTIONAL_ANALYZERS));
  if (unknown !== undefined) throw new Error(`there is no analyzer ${unknown}; analyze -L lists them`);
  let namespace = flags.namespace ?? 'default';
  const read = readFiles(files, flags.recursive === true);
  const fromFiles = read.objects.map(withOrigin);
  const placed = fromFiles.map((object) => (object.metadata.namespace === undefined && isNamespaced(object) ? { ...object, metadata: { ...object.metadata, namespace } } : object));
  // Applied one after the other, the last file that names an object wins: a folder of alternatives is no conflict.
  let objects: readonly KubeObject[] = [...new Map(placed.map((object) => [identity(object), object])).values()];
  if (flags.useKube) {
    const cluster = world.open(flags);
    namespace = cluster.namespace;
    const names = new Set(objects.map(identity));
    // A file stands for what would be applied: it hides the object of that name in the cluster.
    objects = [...objects, ...(await clusterObjects(cluster.client)).filter((object) => !names.has(identity(object)))];
    cluster.close();
  }
  const inScope = (issue: Issue) => flags.allNamespaces || !flags.useKube || (issue.object.namespace ?? issue.object.name) === namespace || issue.object.origin !== undefined;
  const threshold = LEVELS.indexOf(flags.outputThreshold.toLowerCase());
  const meshConfig = meshConfigOf(objects, flags);
  const found = analyze(objects, { ...(flags.istioNamespace !== undefined && { istioNamespace: flags.istioNamespace }), ...(flags.analyzer.length > 0 && { analyzers: flags.analyzer }), ...(meshConfig && { meshConfig }) });
  const issues = [...read.issues, ...found].filter((issue) => inScope(issue) && !suppressed(issue, flags.suppress) && LEVELS.indexOf(issue.severity) >= threshold);
  print(world, issues, flags, files.length > 0 && !flags.useKube ? files.join(', ') : namespace);
  if (issues.some((issue) => LEVELS.indexOf(issue.severity) >= LEVELS.indexOf(flags.failureThreshold.toLowerCase()))) world.exitWith(FOUND_ISSUES);
}

/** The file's, else that of the `istio` ConfigMap. */
function meshConfigOf(objects: readonly KubeObject[], flags: Flags): MeshConfig | undefined {
  const own = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'istio' && metadata.namespace === (flags.istioNamespace ?? 'istio-system')) as ConfigMap | undefined;
  const text = flags.meshConfigFile === undefined ? own?.data?.['mesh'] : readFileSync(flags.meshConfigFile, 'utf8');
  return text === undefined ? undefined : ((parse(text) ?? undefined) as MeshConfig | undefined);
}

function print(world: CommandWorld, issues: readonly Issue[], flags: Flags, scope: string): void {
  if (flags.output !== 'log') {
    world.print(dataText(issues.map((issue) => ({ code: issue.code, level: issue.severity[0]!.toUpperCase() + issue.severity.slice(1), origin: `${issue.object.kind} ${issue.object.namespace ? `${issue.object.namespace}/` : ''}${issue.object.name}`, ...(issue.object.origin && { reference: issue.object.origin }), path: issue.path, message: issue.message, ...(issue.fix && { fix: issue.fix }) })), flags.output));
    return;
  }
  for (const issue of issues) world.print(`${issueLine(issue)}\n`);
  if (issues.length === 0) world.print(`✔ No validation issues found when analyzing ${flags.allNamespaces ? 'all namespaces' : flags.useKube ? `namespace: ${scope}` : scope}.\n`);
}

function withOrigin({ object, origin }: FileObject): KubeObject {
  return { ...object, metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [ORIGIN]: origin } } };
}

function identity(object: KubeObject): string {
  const group = object.apiVersion.includes('/') ? object.apiVersion.split('/')[0] : '';
  return `${object.kind}.${group} ${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

function isNamespaced(object: KubeObject): boolean {
  return KINDS.find((kind) => kind.kind === object.kind)?.namespaced ?? true;
}

function suppressed(issue: Issue, patterns: readonly string[]): boolean {
  const { kind, namespace, name } = issue.object;
  const resources = namespace ? [`${kind} ${namespace}/${name}`, `${kind} ${name}.${namespace}`] : [`${kind} ${name}`];
  return patterns.some((pattern) => {
    const [code, glob = '*'] = pattern.split('=', 2) as [string, string?];
    const escaped = glob.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('.*');
    return code === issue.code && resources.some((resource) => new RegExp(`^${escaped}$`).test(resource));
  });
}

async function clusterObjects(client: ClusterReader): Promise<readonly KubeObject[]> {
  const kinds = KINDS.filter((kind) => READ_KINDS.includes(kind.kind) || READ_GROUPS.test(kind.group));
  const lists = await Promise.all(kinds.map(async (kind) => {
    const type = { group: kind.group, version: kind.versions[0]!, kind: kind.kind, plural: kind.plural, namespaced: kind.namespaced };
    try {
      const { items } = await client.list<KubeObject>(type);
      // Lists leave apiVersion and kind out of their items.
      return items.map((item) => ({ ...item, apiVersion: kind.group ? `${kind.group}/${type.version}` : type.version, kind: kind.kind }));
    } catch (error) {
      // Without Istio's definitions there is simply nothing of that kind; what the user may not read is not judged.
      if (error instanceof ApiError && (error.code === 404 || error.code === 403)) return [];
      throw error;
    }
  }));
  return lists.flat();
}
