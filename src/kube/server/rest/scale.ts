import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { at, clone, numberAt } from '../json.ts';
import { badRequest, invalid, invalidValue } from '../status.ts';
import { formatSelector, NONE } from '../table/format.ts';
import type { Draft, Environment, WriteContext } from './context.ts';
import { modifyObject, type Target } from './update.ts';

const steps = (path: string): string[] => path.split('.').filter((step) => step !== '');

/** The `autoscaling/v1` Scale of an object. */
export function scaleOf(resource: Resource, object: KubeObject): KubeObject {
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = resource.scale!;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = labelSelectorPath ? at(object, ...steps(labelSelectorPath)) : undefined;
  const text = typeof selector === 'string' ? selector : formatSelector(selector);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: numberAt(object, ...steps(specReplicasPath)) ?? 0 },
    status: { replicas: numberAt(object, ...steps(statusReplicasPath)) ?? 0, ...(text === NONE ? {} : { selector: text }) },
  } as unknown as KubeObject;
}

/** Writes a Scale: `change` makes the new Scale from the current one. @throws ApiError 400, 404, 409, 422 */
export async function writeScale(env: Environment, target: Target, context: WriteContext, change: (scale: KubeObject) => unknown): Promise<KubeObject> {
  const { resource, name } = target;
  const object = await modifyObject(env, target, context, (live) => {
    const scale = change(scaleOf(resource, live));
    const replicas = at(scale, 'spec', 'replicas') ?? 0;
    if (typeof replicas !== 'number' || !Number.isInteger(replicas)) throw badRequest('Scale.spec.replicas must be an integer');
    if (replicas < 0) throw invalid({ group: 'autoscaling', kind: 'Scale' }, name, [invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0')]);
    const draft = clone(live) as unknown as Draft;
    draft.apiVersion = resource.apiVersion;
    const version = at(scale, 'metadata', 'resourceVersion');
    if (typeof version === 'string' && version !== '') draft.metadata['resourceVersion'] = version;
    const path = steps(resource.scale!.specReplicasPath);
    let parent: Record<string, unknown> = draft;
    for (const step of path.slice(0, -1)) parent = (parent[step] ??= {}) as Record<string, unknown>;
    parent[path[path.length - 1]!] = replicas;
    return draft;
  });
  return scaleOf(resource, object);
}
