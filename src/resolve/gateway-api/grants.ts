/** ReferenceGrants: who may refer to what in another namespace. */
import type { ReferenceGrant } from '../../objects/gateway-api/reference-grant.ts';
import { namespaceOf } from '../context.ts';

export interface Grants {
  /**
   * May an object of `fromGroupKind` in `fromNamespace` refer to `name` of `toGroupKind` in `toNamespace`? Kinds are `group/kind`. Inside a namespace
   * nobody needs to ask.
   */
  readonly allow: (fromGroupKind: string, fromNamespace: string, toGroupKind: string, toNamespace: string, name: string) => boolean;
}

export function indexGrants(objects: readonly ReferenceGrant[]): Grants {
  const granted = new Set<string>();
  for (const object of objects)
    for (const from of object.spec.from)
      for (const to of object.spec.to)
        granted.add(JSON.stringify([`${from.group}/${from.kind}`, from.namespace, `${to.group}/${to.kind}`, namespaceOf(object), to.name ?? null]));
  return {
    allow: (fromGroupKind, fromNamespace, toGroupKind, toNamespace, name) =>
      [name, null].some((subject) => granted.has(JSON.stringify([fromGroupKind, fromNamespace, toGroupKind, toNamespace, subject]))),
  };
}
