/** Reading and making objects for the conversion of SMI. */
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { Cursor } from '../cursor.ts';
import { notConverted } from '../legacy/modern.ts';

/** The spec of an object; its mistakes become issues. */
export function cursorOf(object: KubeObject, issues: Issue[]): Cursor {
  return new Cursor((object as { readonly spec?: unknown }).spec ?? {}, 'spec', (path, message) => issues.push(notConverted(object, path, `${path}: ${message}.`)));
}

/** A field of the spec or, in the first versions, beside metadata. */
export function fieldOf(object: KubeObject, name: string, issues: Issue[], oldName = name): Cursor {
  const spec = cursorOf(object, issues).at(name);
  if (spec.exists) return spec;
  const own: unknown = Object.hasOwn(object, oldName) ? (object as unknown as Readonly<Record<string, unknown>>)[oldName] : undefined;
  return new Cursor(own, oldName, (path, message) => issues.push(notConverted(object, path, `${path}: ${message}.`)));
}

/** `web`, `web.shop` and `web.shop.svc.cluster.local` → `web` inside namespace shop; '' for services of other namespaces. */
export function shortName(name: string, namespace: string): string {
  const [first = '', second] = name.split('.');
  return second === undefined || second === namespace ? first : '';
}

export function generated(from: KubeObject, apiVersion: string, kind: string, name: string, namespace: string, spec: Readonly<Record<string, unknown>>): KubeObject {
  const { creationTimestamp } = from.metadata;
  const object = { apiVersion, kind, metadata: { name, namespace, ...(creationTimestamp !== undefined && { creationTimestamp }) }, spec };
  return object;
}
