/** Reads case files. A key nobody knows is an error: an expectation with a typing mistake would never fail. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments, stringify } from 'yaml';
import type { KubeObject } from '../../src/objects/meta.ts';
import type { BehaviourCase, Call, CaseFile, Change, Load } from './case.ts';

const CALL_KEYS = new Set(['to', 'inbound', 'gateway', 'from', 'protocol', 'method', 'path', 'host', 'headers', 'body', 'send', 'halfClose', 'untilEnd', 'tls', 'repeat', 'parallel', 'keepAlive', 'afterMs', 'expect']);
const EXPECT_KEYS = new Set(['status', 'body', 'headers', 'trailers', 'grpcStatus', 'backend', 'counts', 'statuses', 'received', 'cluster', 'routeName', 'flags', 'details', 'log', 'durationMs', 'closed', 'sticky', 'certificate', 'alpn']);
const CASE_KEYS = new Set(['name', 'backends', 'calls', 'call', 'stats', 'load', 'changes', 'rounds', 'compare']);
const LOAD_KEYS = new Set(['call', 'status', 'connection', 'served']);
const CHANGE_KEYS = new Set(['put', 'remove', 'unsettled', 'waitMs']);
const SCRIPT_KEYS = new Set(['status', 'headers', 'body', 'delayMs', 'end', 'grpcStatus', 'trailers', 'raw', 'echo', 'times']);

interface RawCase {
  readonly name: string;
  readonly backends?: BehaviourCase['backends'];
  readonly calls?: readonly Call[];
  readonly call?: Call;
  readonly stats?: BehaviourCase['stats'];
  readonly load?: readonly Load[];
  readonly changes?: readonly Change[];
  readonly rounds?: number;
  readonly compare?: boolean;
}

interface RawFile {
  readonly mesh?: string;
  readonly cases: readonly RawCase[];
}

/** Objects of a multi-document text; without a namespace they are in `app`, or where the caller says. */
export function readObjects(text: string, defaultNamespace = 'app'): KubeObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors[0]) throw document.errors[0];
    const value = document.toJS() as KubeObject | null;
    if (!value) return [];
    const namespaced = value.kind === 'Namespace' ? {} : { namespace: value.metadata.namespace ?? defaultNamespace };
    return [{ ...value, metadata: { creationTimestamp: '2026-01-01T00:00:00Z', ...value.metadata, ...namespaced } } as KubeObject];
  });
}

/** All files below the folder, in order of their names. Throws on the first mistake. */
export function loadCases(folder: string): CaseFile[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml')).sort();
  return names.map((name) => {
    const id = name.replace(/\.yaml$/, '').replaceAll('\\', '/');
    try {
      const raw = parse(readFileSync(join(folder, name), 'utf8')) as RawFile;
      const cases = raw.cases.map((entry) => toCase(id, entry));
      if (new Set(cases.map((each) => each.id)).size !== cases.length) throw new Error('two cases have the same name');
      return { id, objects: readObjects(raw.mesh ?? ''), cases };
    } catch (error) {
      throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  });
}

/** A mesh configuration that also says how calls are logged: the log is what is judged. */
function logged(object: KubeObject): KubeObject {
  if (object.kind !== 'ConfigMap' || object.metadata.name !== 'istio') return object;
  const { data } = object as KubeObject & { data: { mesh: string } };
  const mesh = stringify({ ...(parse(data.mesh) as object), accessLogFile: '/dev/stdout', accessLogEncoding: 'JSON' });
  return { ...object, data: { ...data, mesh } } as KubeObject;
}

/** Every sample as a file of one case: both kinds of proxy take its objects (a refusal fails the case), and calls go on as before. */
export function loadSamples(folder: string): CaseFile[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml')).sort();
  const read = (name: string): KubeObject[] => readObjects(readFileSync(join(folder, name), 'utf8'), 'default');
  const services = names.filter((name) => /(^|[/\\])platform[/\\]/.test(name)).flatMap(read);
  return names.map((name) => {
    const id = `samples/${name.replace(/\.yaml$/, '').replaceAll('\\', '/')}`;
    return { id, objects: [...services, ...read(name)].map(logged), cases: [toCase(id, { name: 'accepted', call: { to: 'ratings', expect: { status: 200, backend: 'ratings', cluster: 'outbound|80||ratings.app.svc.cluster.local' } } })] };
  });
}

function toCase(file: string, raw: RawCase): BehaviourCase {
  known(raw, CASE_KEYS, `case ${raw.name}`);
  const calls = raw.calls ?? (raw.call ? [raw.call] : []);
  if (!raw.name || (calls.length === 0 && !raw.load)) throw new Error(`case ${raw.name}: needs a name and calls`);
  for (const call of calls) {
    known(call, CALL_KEYS, raw.name);
    if (!call.expect) throw new Error(`${raw.name}: a call without expect`);
    known(call.expect, EXPECT_KEYS, raw.name);
  }
  for (const script of Object.values(raw.backends ?? {}).flat()) known(script as object, SCRIPT_KEYS, raw.name);
  for (const load of raw.load ?? []) {
    known(load, LOAD_KEYS, raw.name);
    known(load.call, CALL_KEYS, raw.name);
  }
  for (const change of raw.changes ?? []) {
    known(change, CHANGE_KEYS, raw.name);
    readObjects(change.put ?? '');
  }
  return { id: `${file}/${raw.name}`, backends: raw.backends ?? {}, calls, stats: raw.stats ?? {}, ...(raw.load && { load: raw.load, changes: raw.changes ?? [], rounds: raw.rounds ?? 1 }), ...(raw.compare && { compare: true }) };
}

function known(value: object, keys: ReadonlySet<string>, where: string): void {
  for (const key of Object.keys(value)) if (!keys.has(key)) throw new Error(`${where}: nobody knows ${key}`);
}
