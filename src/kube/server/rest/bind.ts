import { clone, textAt } from '../json.ts';
import { badRequest } from '../status.ts';
import type { Resource } from '../api/resources.ts';
import type { Draft, Environment, WriteContext } from './context.ts';
import { modifyObject } from './update.ts';

/** Assigns a pod to the node that a Binding names. @throws ApiError 400 without a node or when the pod has another one, 404 */
export async function bindPod(env: Environment, pods: Resource, namespace: string, name: string, binding: unknown, context: WriteContext): Promise<void> {
  const node = textAt(binding, 'target', 'name');
  if (node === '') throw badRequest('Binding "" is invalid: target.name: Required value');
  await modifyObject(env, { resource: pods, namespace, name, subresource: 'binding' }, context, (live) => {
    const draft = clone(live) as unknown as Draft;
    const spec = draft['spec'] as Record<string, unknown>;
    if (spec['nodeName'] && spec['nodeName'] !== node) throw badRequest(`pod ${name} is already assigned to node "${String(spec['nodeName'])}"`);
    spec['nodeName'] = node;
    return draft;
  });
}
