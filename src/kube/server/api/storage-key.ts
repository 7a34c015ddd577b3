import type { GroupResource } from '../status.ts';

/** The prefix of a resource's keys: all of them, or those of one namespace. */
export function storagePrefix(resource: GroupResource, namespace?: string): string {
  return `/${resource.group || 'core'}/${resource.plural}/${namespace === undefined ? '' : `${namespace}/`}`;
}

/** The key of one object; `namespace` is undefined for cluster-scoped kinds. */
export function storageKey(resource: GroupResource, name: string, namespace?: string): string {
  return storagePrefix(resource, namespace) + name;
}
