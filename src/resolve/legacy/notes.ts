import type { Issue } from '../../base/issue.ts';
import { keyOf, type KubeObject } from '../../objects/meta.ts';
import { convertLegacy, isLegacy } from './convert.ts';

/** What an object of Istio's past would be read as if it stood among these objects: told to who applies it. Nothing for all other objects. */
export function legacyNotes(object: KubeObject, objects: Iterable<KubeObject>, rootNamespace: string, domainSuffix = 'cluster.local'): readonly Issue[] {
  if (!isLegacy(object)) return [];
  const byKind = new Map<string, KubeObject[]>();
  const add = (one: KubeObject) => {
    const kind = `${one.apiVersion.includes('/') ? one.apiVersion.split('/')[0] : ''}/${one.kind}`;
    const list = byKind.get(kind);
    if (list) list.push(one);
    else byKind.set(kind, [one]);
  };
  // First, so that it is the config that counts when there are several.
  add(object);
  for (const one of objects) if (!(one.kind === object.kind && keyOf(one) === keyOf(object))) add(one);
  const issues: Issue[] = [];
  convertLegacy({ ofKind: (kind) => byKind.get(kind) ?? [], mesh: { rootNamespace, domainSuffix }, issues });
  return issues.filter((issue) => issue.object.kind === object.kind && issue.object.name === object.metadata.name && issue.object.namespace === object.metadata.namespace);
}
