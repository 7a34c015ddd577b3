/**
 * Objects from a folder of YAML files, read again when a file changes: a control plane without an API server (in the spirit of Istio's `fs:///` config
 * source). The folder holds what the API would: Services with their EndpointSlices and Pods, Istio's objects, and a ConfigMap `istio` for the mesh config.
 */
import { readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { createLogger } from '../../base/log.ts';
import { messageOf } from '../../base/errors.ts';
import { keyOf, type KubeObject } from '../../objects/meta.ts';
import type { ObjectChange, ObjectSource } from './object-source.ts';
import { meansTheSame } from './trim-object.ts';

const log = createLogger('files');

/** Editors write a file in several steps. */
const SETTLE_MS = 50;

/** Reads every `.yaml`, `.yml` and `.json` file below the folder. Files that cannot be read are logged and leave out their objects only. */
export function createFileSource(directory: string, signal: AbortSignal): ObjectSource {
  const listeners: ((change: ObjectChange) => void)[] = [];
  let known = readFolder(directory);
  const reload = () => {
    const next = readFolder(directory);
    const changes = differences(known, next);
    known = next;
    for (const change of changes) for (const listener of listeners) listener(change);
  };
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(directory, { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(reload, SETTLE_MS);
  });
  watcher.on('error', (error) => log.warn('the folder is no longer watched', { directory, error: error.message }));
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    watcher.close();
  });
  return {
    synced: Promise.resolve(),
    objects: () => known.values(),
    slicesOf: (namespace, service) =>
      [...known.values()].filter((object) => object.kind === 'EndpointSlice' && (object.metadata.namespace ?? 'default') === namespace && object.metadata.labels?.['kubernetes.io/service-name'] === service),
    namespaces: () => new Map([...known.values()].filter((object) => object.kind === 'Namespace').map((object) => [object.metadata.name, object])),
    meshConfigText: () => [...known.values()].filter((object) => object.kind === 'ConfigMap' && object.metadata.name === 'istio').map((object) => (object as { data?: Record<string, string> }).data?.['mesh'])[0],
    onChange: (listener) => void listeners.push(listener),
  };
}

type ObjectMap = ReadonlyMap<string, KubeObject>;

function readFolder(directory: string): ObjectMap {
  const objects = new Map<string, KubeObject>();
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(ya?ml|json)$/.test(name)).sort();
  for (const name of names) {
    try {
      const path = join(directory, name);
      const createdMs = statSync(path).mtimeMs;
      for (const object of parseObjects(readFileSync(path, 'utf8'), createdMs)) objects.set(`${object.apiVersion}/${object.kind}/${keyOf(object)}`, object);
    } catch (error) {
      log.warn('a file cannot be read', { file: name, error: messageOf(error) });
    }
  }
  return objects;
}

/** Objects of a multi-document text; Lists are opened. Without a namespace they are in `default`. Throws on broken YAML. */
function parseObjects(text: string, createdMs: number): KubeObject[] {
  const documents = parseAllDocuments(text);
  return documents.flatMap((document) => {
    if (document.errors[0]) throw document.errors[0];
    const value = document.toJS() as (KubeObject & { readonly items?: readonly KubeObject[] }) | null;
    const objects = value?.kind === 'List' ? (value.items ?? []) : value ? [value] : [];
    return objects.filter((object) => typeof object.kind === 'string' && typeof object.metadata?.name === 'string').map((object) => complete(object, createdMs));
  });
}

const CLUSTER_SCOPED = new Set(['Namespace', 'Node', 'CustomResourceDefinition', 'ClusterRole', 'ClusterRoleBinding', 'MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration', 'IngressClass', 'MeshPolicy', 'ClusterRbacConfig']);

function complete(object: KubeObject, createdMs: number): KubeObject {
  const namespace = CLUSTER_SCOPED.has(object.kind) ? {} : { namespace: object.metadata.namespace ?? 'default' };
  return { ...object, metadata: { creationTimestamp: new Date(createdMs).toISOString(), ...object.metadata, ...namespace } };
}

function differences(before: ObjectMap, after: ObjectMap): ObjectChange[] {
  const changes: ObjectChange[] = [];
  for (const [key, object] of after) {
    const old = before.get(key);
    if (!old) changes.push({ type: 'added', object });
    else if (!meansTheSame(old, object)) changes.push({ type: 'updated', object });
  }
  for (const [key, object] of before) if (!after.has(key)) changes.push({ type: 'deleted', object });
  return changes;
}
