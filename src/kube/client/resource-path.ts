/** Paths and queries of the Kubernetes API. @see https://kubernetes.io/docs/reference/using-api/api-concepts/ */
import type { ResourceType } from '../../objects/kind.ts';
import type { ListOptions, WriteOptions } from './client.ts';

/** `/apis/apps/v1/namespaces/default/deployments/web`; without a name the collection, without a namespace all namespaces. */
export function resourcePath(type: ResourceType, namespace?: string, name?: string, subresource?: string): string {
  const parts = type.group === '' ? ['', 'api', type.version] : ['', 'apis', type.group, type.version];
  if (type.namespaced && namespace !== undefined) parts.push('namespaces', namespace);
  parts.push(type.plural);
  if (name !== undefined) parts.push(name);
  if (subresource !== undefined) parts.push(subresource);
  return parts.map(encodeURIComponent).join('/');
}

/** `?a=b`, or nothing; undefined values are left out. */
export function queryText(parameters: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, value);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

export function listQuery(options: ListOptions): Record<string, string | undefined> {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
}

export function writeQuery(options: WriteOptions | undefined): Record<string, string | undefined> {
  return { fieldManager: options?.fieldManager, dryRun: options?.dryRun ? 'All' : undefined };
}
