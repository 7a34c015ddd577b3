// The inject corpus: sidecar, gateway and gRPC injection, by kube-inject and by the webhook.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { injectPod } from '../../../src/admission/inject/inject-pod.ts';
import { kubeInject } from '../../../src/admission/inject/kube-inject.ts';
import { canonicalQuantity } from '../../../src/admission/inject/quantity.ts';
import type { InjectionContext, Json, JsonObject, Pod } from '../../../src/admission/inject/types.ts';
import { allOf, fail, type Judge, PASS, sameData, type Verdict } from '../judge.ts';

interface InjectCase {
  readonly input: string;
  readonly expected?: string;
  readonly expectedError?: string;
  readonly expectedLog?: string;
  readonly values: string;
  readonly meshConfig: string;
  readonly cluster?: string;
  readonly nativeSidecars: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly paths: readonly string[];
}

const load = (directory: string, file: string): JsonObject => (parse(readFileSync(join(directory, file), 'utf8')) ?? {}) as JsonObject;
const documents = (text: string): JsonObject[] => parseAllDocuments(text).map((document) => document.toJS() as JsonObject | null).filter((object): object is JsonObject => object !== null);
const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

const JSON_ENV = /^(PROXY_CONFIG|ISTIO_META_POD_PORTS|ISTIO_METAJSON_.*|ISTIO_KUBE_APP_PROBERS)$/;
const BY_NAME: Readonly<Record<string, string>> = { env: 'name', volumes: 'name', volumeMounts: 'mountPath' };

/** Brings an object into the form in which the corpus' rules compare. */
function comparable(value: Json | undefined, key = ''): unknown {
  if (Array.isArray(value)) {
    const list = value.map((item: Json) => comparable(item, key.replace(/s$/, '')));
    const by = BY_NAME[key];
    return by ? list.sort((a, b) => String((a as JsonObject)[by]).localeCompare(String((b as JsonObject)[by]))) : list;
  }
  if (!isObject(value)) return ['cpu', 'memory', 'ephemeral-storage'].includes(key) ? canonicalQuantity(String(value)) : value;
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined || member === null) continue;
    if (name === 'apiVersion' && key === 'fieldRef') continue;
    // A status of zeros is an empty one: Go writes the numbers it has no value for.
    if (name === 'status' && isObject(member) && Object.values(member).every((count) => count === 0)) continue;
    if (['strategy', 'resources', 'annotations', 'labels', 'updateStrategy', 'metadata'].includes(name) && isObject(member) && Object.keys(member).length === 0) continue;
    if (name === 'sidecar.istio.io/status' && typeof member === 'string') result[name] = statusSets(member);
    else if (name === 'proxy.istio.io/overrides' && typeof member === 'string') result[name] = comparable(JSON.parse(member) as Json);
    else if (name === 'value' && typeof member === 'string' && JSON_ENV.test(String(value['name']))) result[name] = JSON.parse(member);
    else if (name === 'value' && member === '') continue;
    else result[name] = comparable(member, name);
  }
  if (key === 'volume' && Object.keys(result).length === 1) result['emptyDir'] = {};
  return result;
}

function statusSets(text: string): unknown {
  const { version: _version, ...sets } = JSON.parse(text) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(sets).map(([name, list]) => [name, Array.isArray(list) ? [...(list as string[])].sort() : list]));
}

function namespaceAnnotations(cluster: readonly JsonObject[], namespace: string): Readonly<Record<string, string>> {
  const found = cluster.find((object) => object['kind'] === 'Namespace' && (object['metadata'] as JsonObject)['name'] === namespace);
  return ((found?.['metadata'] as JsonObject | undefined)?.['annotations'] as Record<string, string> | undefined) ?? {};
}

function flatten(objects: readonly JsonObject[]): JsonObject[] {
  return objects.flatMap((object) => (object['kind'] === 'List' ? (object['items'] as JsonObject[]) : [object]));
}

/** The pod a controller would create from a workload, as the webhook would see it. */
function podOf(object: JsonObject): Pod | undefined {
  if (object['kind'] === 'Pod') return object as Pod;
  const template = (object['spec'] as JsonObject | undefined)?.['template'] as Pod | undefined;
  if (!template || object['kind'] === 'Service') return undefined;
  const meta = object['metadata'] as JsonObject;
  const deployment = object['kind'] === 'Deployment';
  const hash = 'abc123';
  return {
    ...template,
    metadata: {
      ...template.metadata,
      ...(meta['namespace'] ? { namespace: String(meta['namespace']) } : {}),
      labels: { ...template.metadata?.labels, ...(deployment ? { 'pod-template-hash': hash } : {}) },
      generateName: `${String(meta['name'])}-`,
      ownerReferences: [{ apiVersion: object['apiVersion'], kind: deployment ? 'ReplicaSet' : object['kind'], name: deployment ? `${String(meta['name'])}-${hash}` : meta['name'], uid: 'u', controller: true }],
    },
  } as Pod;
}

function withoutOwner(pod: Pod): Pod {
  const { ownerReferences: _owner, generateName: _generated, ...meta } = pod.metadata ?? {};
  const { 'pod-template-hash': _hash, ...labels } = meta.labels ?? {};
  return { spec: pod.spec ?? {}, metadata: { ...meta, labels } } as Pod;
}

type Contexts = (namespace: string) => InjectionContext;

function contexts(caseDir: string, data: InjectCase): Contexts {
  const cluster = data.cluster ? documents(readFileSync(join(caseDir, data.cluster), 'utf8')) : [];
  return (namespace) => ({
    values: load(caseDir, data.values), meshConfig: load(caseDir, data.meshConfig), nativeSidecars: data.nativeSidecars, env: data.env,
    namespaceAnnotations: namespaceAnnotations(cluster, namespace),
  });
}

const namespaceOf = (object: JsonObject): string => String((object['metadata'] as JsonObject | undefined)?.['namespace'] ?? 'default');

function judgeKubeInject(caseDir: string, data: InjectCase, contextFor: Contexts): Verdict {
  const input = readFileSync(join(caseDir, data.input), 'utf8');
  const result = kubeInject(input, contextFor(namespaceOf(documents(input)[0]!)));
  if (data.expectedError) {
    const said = result.errors.join('\n');
    return said.toLowerCase().includes(data.expectedError.toLowerCase()) ? PASS : fail(`kube-inject: expected the error "${data.expectedError}", got "${said}"`);
  }
  if (result.errors.length > 0) return fail(`kube-inject: ${result.errors.join('; ')}`);
  const notes = result.notes.join('\n').toLowerCase();
  if (data.expectedLog && !notes.includes(data.expectedLog.toLowerCase())) return fail(`kube-inject: expected the note "${data.expectedLog}", got "${notes}"`);
  const golden = documents(readFileSync(join(caseDir, data.expected!), 'utf8'));
  return sameData(documents(result.output).map((object) => comparable(object)), golden.map((object) => comparable(object)));
}

function judgeWebhook(caseDir: string, data: InjectCase, contextFor: Contexts): Verdict {
  const inputs = flatten(documents(readFileSync(join(caseDir, data.input), 'utf8')));
  const goldens = flatten(documents(readFileSync(join(caseDir, data.expected!), 'utf8')));
  return allOf(inputs.map((object, index) => {
    const [pod, golden] = [podOf(object), podOf(goldens[index] ?? {})];
    if (!pod || !golden) return PASS;
    const result = injectPod(pod, contextFor(namespaceOf(object)), { namespace: namespaceOf(object) });
    if (result.kind === 'failed') return fail(`webhook: ${result.message}`);
    return sameData(comparable(withoutOwner(result.kind === 'injected' ? result.pod : pod)), comparable(withoutOwner(golden)));
  }));
}

export const judge: Judge = {
  corpus: 'inject',
  run: async (caseDir, caseJson) => {
    const data = caseJson as InjectCase;
    const contextFor = contexts(caseDir, data);
    return allOf([
      ...(data.paths.includes('kube-inject') ? [judgeKubeInject(caseDir, data, contextFor)] : []),
      ...(data.paths.includes('webhook') && data.expected ? [judgeWebhook(caseDir, data, contextFor)] : []),
    ]);
  },
};
