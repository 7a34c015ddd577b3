// `kube-inject -f`: whole documents, where the webhook sees single pods.
import { isMap, parseAllDocuments, stringify } from 'yaml';
import { injectPod } from './inject-pod.ts';
import type { InjectionContext, JsonObject, Pod, PodMeta, WorkloadOwner } from './types.ts';

/** Documents with their pods injected, and what happened to those that were not. */
export interface KubeInjectResult {
  readonly output: string;
  /** Lines for the user: skipped workloads with the reason. */
  readonly notes: readonly string[];
  /** Reasons why nothing is written; empty when all went well. */
  readonly errors: readonly string[];
}

/** Injects every workload of a YAML text. Documents that hold no pods are passed through; a `List` is injected item by item. */
export function kubeInject(text: string, context: InjectionContext): KubeInjectResult {
  const notes: string[] = [];
  const errors: string[] = [];
  const documents: string[] = [];
  for (const document of parseAllDocuments(text)) {
    errors.push(...document.errors.map((error) => error.message));
    // `---` twice makes a document of nothing.
    if (document.errors.length > 0 || document.toJS() === null) continue;
    if (!isMap(document.contents)) {
      errors.push('a document is not a Kubernetes object');
      continue;
    }
    documents.push(stringify(injectObject(document.toJS() as JsonObject, context, notes, errors), { lineWidth: 0, aliasDuplicateObjects: false }));
  }
  return { output: documents.map((document) => `${document}---\n`).join(''), notes, errors };
}

/** Injects one object; objects without pods come back as they are. */
export function injectObject(object: JsonObject, context: InjectionContext, notes: string[], errors: string[]): JsonObject {
  if (object['kind'] === 'List') return { ...object, items: ((object['items'] as readonly JsonObject[] | undefined) ?? []).map((item) => injectObject(item, context, notes, errors)) };
  const place = placeOf(object);
  if (!place) return object;
  const meta = (object['metadata'] as PodMeta | undefined) ?? {};
  const owner: WorkloadOwner = { apiVersion: String(object['apiVersion'] ?? ''), kind: String(object['kind']), name: meta.name ?? '', namespace: meta.namespace ?? 'default' };
  // As the document says it: a namespace that it leaves open is not named.
  const name = place.pod.metadata?.name || owner.name;
  const result = injectPod(place.pod, context, { namespace: owner.namespace, owner, subject: `${owner.kind} "${meta.namespace ? `${meta.namespace}/` : ''}${name}"` });
  if (result.kind === 'injected') return place.put(result.pod);
  if (result.kind === 'skipped') notes.push(result.reason);
  else errors.push(`${owner.kind} ${owner.namespace}/${owner.name}: ${result.message}`);
  return object;
}

interface PodPlace {
  readonly pod: Pod;
  put(pod: Pod): JsonObject;
}

/** Where an object keeps its pod. A CronJob's metadata are those of its job template, as in Istio. */
function placeOf(object: JsonObject): PodPlace | undefined {
  const spec = object['spec'] as JsonObject | undefined;
  if (object['kind'] === 'Pod') return { pod: object as Pod, put: (pod) => pod };
  if (object['kind'] === 'CronJob') {
    const job = (spec?.['jobTemplate'] as JsonObject | undefined) ?? {};
    const jobSpec = (job['spec'] as JsonObject | undefined) ?? {};
    const template = (jobSpec['template'] as JsonObject | undefined) ?? {};
    return {
      pod: { metadata: (job['metadata'] as PodMeta | undefined) ?? {}, spec: (template['spec'] as JsonObject | undefined) ?? {} },
      put: (pod) => ({ ...object, spec: { ...spec, jobTemplate: { ...job, metadata: pod.metadata ?? {}, spec: { ...jobSpec, template: { ...template, spec: pod.spec ?? {} } } } } }),
    };
  }
  const template = spec?.['template'] as Pod | undefined;
  if (!['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Job', 'DeploymentConfig'].includes(String(object['kind'])) || !template) return undefined;
  return { pod: template, put: (pod) => ({ ...object, spec: { ...spec, template: pod } }) };
}
