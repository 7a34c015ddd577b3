/** What becomes of a printed object: does it load, is it refused with what was meant, and does that work? */
import type { Issue } from '../../src/base/issue.ts';
import { isIp } from '../../src/model/hostname.ts';
import { validateIstioObject } from '../../src/objects/istio/validate.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { loadText } from '../../src/objects/repair/load-text.ts';
import { NAMESPACE } from '../../src/objects/resource-types.ts';
import { findKind } from '../../src/objects/registry.ts';
import { resolve } from '../../src/resolve/resolve.ts';
import type { TestServer } from '../../src/kube/server/testing.ts';
import { proxyNacks } from '../unit/proxy-nacks.ts';

export interface Verdict {
  /** `loads`; `repaired`: refused, and the correction loads; `foreign`: of a kind nobody here serves; `refused`: without a correction. */
  readonly outcome: 'loads' | 'repaired' | 'foreign' | 'refused';
  /** What goes on. */
  readonly objects: readonly KubeObject[];
  readonly issues: readonly Issue[];
}

/** Reads a text as `validate` does. The correction of what is refused is read in its place, and has to load as it is. */
export function judgeText(text: string): Verdict {
  const first = read(text);
  if (first.errors.length === 0) return { outcome: first.objects.every(isKnown) && first.objects.length > 0 ? 'loads' : 'foreign', objects: first.objects, issues: [] };
  const fixes = first.errors.flatMap(({ fix }) => (fix?.includes('\n') ? [fix] : []));
  const second = fixes.map(read);
  if (fixes.length === 0 || second.some(({ errors }) => errors.length > 0)) return { outcome: 'refused', objects: [], issues: first.errors };
  return { outcome: 'repaired', objects: second.flatMap(({ objects }) => objects), issues: first.errors };
}

function read(text: string): { readonly objects: readonly KubeObject[]; readonly errors: readonly Issue[] } {
  const { objects, issues } = loadText(text, 'text');
  const found = [...issues, ...objects.flatMap(({ object }) => validateIstioObject(object))];
  return { objects: objects.map(({ object }) => object), errors: found.filter(({ severity }) => severity === 'error') };
}

function isKnown({ apiVersion, kind }: KubeObject): boolean {
  return kind === 'IstioOperator' || findKind(apiVersion.includes('/') ? apiVersion.split('/')[0]! : '', kind) !== undefined;
}

/** Stores an object in an API server, as kubectl would with strict validation; what the server says, or undefined. */
export async function storeObject(server: TestServer, object: KubeObject): Promise<string | undefined> {
  const [group, version] = object.apiVersion.includes('/') ? object.apiVersion.split('/') : ['', object.apiVersion];
  const info = findKind(group!, object.kind);
  if (!info) return undefined; // a file format
  const namespace = info.namespaced ? `/namespaces/${object.metadata.namespace ?? 'default'}` : '';
  const path = `${group === '' ? '/api' : `/apis/${group}`}/${version}${namespace}/${info.plural}`;
  if (info.namespaced) await server.client.apply(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: object.metadata.namespace ?? 'default' } }, { fieldManager: 'test' });
  const { managedFields: _managed, resourceVersion: _version, uid: _uid, ...metadata } = object.metadata;
  const { status, body } = await server.fetch(`${path}?fieldValidation=Strict&dryRun=All`, { method: 'POST', body: JSON.stringify({ ...object, metadata }), headers: { 'content-type': 'application/json' } });
  return status === 201 ? undefined : body;
}

/** What is wrong with objects in a mesh that has the services they name: errors of reading them, and refusals of the proxies. */
export function meshProblems(objects: readonly KubeObject[]): readonly string[] {
  const { snapshot, issues } = resolve({ objects: [...surroundings(objects), ...objects.map(placed)] });
  // Objects that an excerpt refers to and does not print are not its mistake.
  const errors = issues.filter(({ severity, code }) => severity === 'error' && code !== 'IST0101').map(({ object, path, message }) => `${object.kind} ${object.name} ${path}: ${message}`);
  const sidecar = { id: 'sidecar~10.244.0.11~reviews-v1-1.default~default.svc.cluster.local', metadata: { NAMESPACE: 'default', LABELS: { app: 'reviews' } } };
  const gateway = { id: 'router~10.244.0.14~istio-ingressgateway-1.istio-system~istio-system.svc.cluster.local', metadata: { NAMESPACE: 'istio-system', LABELS: { istio: 'ingressgateway' } } };
  return [...errors, ...proxyNacks(snapshot, sidecar).nacks, ...proxyNacks(snapshot, gateway).nacks];
}

const placed = (object: KubeObject): KubeObject => ({ ...object, metadata: { ...object.metadata, namespace: object.metadata.namespace ?? 'default' } });

/** A service with an endpoint for every host that is named. */
function surroundings(objects: readonly KubeObject[]): readonly KubeObject[] {
  const hosts = [...new Set(JSON.stringify(objects).match(/"(?:host|service|serviceName)":"[a-z0-9-]+"/g)?.map((text) => text.split('"')[3]!) ?? [])].filter((host) => !isIp(host));
  return hosts.filter((host) => !objects.some(({ kind, metadata }) => kind === 'Service' && metadata.name === host)).map((name, index) => ({
    apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' },
    spec: { clusterIP: `10.96.1.${index + 1}`, selector: { app: name }, ports: [{ name: 'http', port: 9080 }, { name: 'http-2', port: 8000 }] },
  }) as unknown as KubeObject);
}
