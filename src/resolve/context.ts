import type { Issue, ObjectReference } from '../base/issue.ts';
import { isIp } from '../model/hostname.ts';
import type { MeshSettings } from '../model/mesh.ts';
import type { KubeObject } from '../objects/meta.ts';
import { Cursor } from './cursor.ts';

/** What reading an object needs to know of its surroundings. */
export interface ResolveContext {
  readonly mesh: MeshSettings;
  /** Domain of short host names in Istio objects. Equals the mesh's domain except in tests that say otherwise. */
  readonly configDomainSuffix: string;
  readonly issues: Issue[];
}

export function referenceOf(object: KubeObject): ObjectReference {
  return { apiVersion: object.apiVersion, kind: object.kind, name: object.metadata.name, ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }) };
}

export function namespaceOf(object: KubeObject): string {
  return object.metadata.namespace || 'default';
}

export function createdMsOf(object: KubeObject): number {
  const ms = Date.parse(object.metadata.creationTimestamp ?? '');
  return Number.isNaN(ms) ? 0 : ms;
}

/** The `istio.config` path of an object: `/apis/<group>/<version>/namespaces/<ns>/<kebab kind>/<name>`. */
export function originOf(object: KubeObject): string {
  const kind = object.kind.replace(/[A-Z]/g, (letter, index: number) => `${index > 0 ? '-' : ''}${letter.toLowerCase()}`);
  return `/apis/${object.apiVersion.replace(/\/.*/, '/v1')}/namespaces/${namespaceOf(object)}/${kind}/${object.metadata.name}`;
}

/**
 * Runs a reader over an object's spec. An object with an error is left out (quarantined): it becomes issues and breaks no other. A bug in a reader is
 * treated the same way.
 */
export function readSpec<T>(context: ResolveContext, object: KubeObject, read: (spec: Cursor) => T): T | undefined {
  const before = context.issues.length;
  const report = (path: string, message: string) =>
    context.issues.push({ severity: 'error', code: 'IST0106', object: referenceOf(object), path, message: `${path || 'The object'}: ${message}.` });
  const result = read(new Cursor((object as { readonly spec?: unknown }).spec ?? {}, 'spec', report));
  return context.issues.slice(before).some((issue) => issue.severity === 'error') ? undefined : result;
}

export function warn(context: ResolveContext, object: KubeObject, code: string, path: string, message: string, fix?: string): void {
  context.issues.push({ severity: 'warning', code, object: referenceOf(object), path, message, ...(fix !== undefined && { fix }) });
}

/** A host as written → FQDN: a name without a dot gets the namespace of the object that says it. Wildcards and addresses stay. */
export function expandHost(context: ResolveContext, host: string, namespace: string): string {
  const lower = host.toLowerCase();
  if (lower === '' || lower.includes('.') || lower.startsWith('*') || isIp(lower)) return lower;
  return context.configDomainSuffix ? `${lower}.${namespace}.svc.${context.configDomainSuffix}` : `${lower}.${namespace}`;
}

/** `gateways` entries → `mesh` or `ns/name`; an empty list means the mesh. `ns/name` may be written `name.ns.svc.domain` for history. */
export function expandGateways(gateways: readonly string[], namespace: string): readonly string[] {
  if (gateways.length === 0) return ['mesh'];
  return gateways.map((gateway) => {
    if (gateway === 'mesh') return gateway;
    if (gateway.includes('/')) return gateway.startsWith('./') ? `${namespace}/${gateway.slice(2)}` : gateway;
    const [name = '', other] = gateway.split('.');
    return other ? `${other}/${name}` : `${namespace}/${gateway}`;
  });
}
