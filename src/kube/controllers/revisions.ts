/** Templates that StatefulSets and DaemonSets had: one ControllerRevision each, which `kubectl rollout history` and `undo` read. */
import type { ControllerRevision } from '../../objects/kubernetes/daemon-set.ts';
import type { PodTemplate } from '../../objects/kubernetes/pod.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { CONTROLLER_REVISION } from '../../objects/resource-types.ts';
import type { KubeClient } from '../client/client.ts';
import type { Informer } from '../client/informer.ts';
import { controllerOf, controllerReference } from './pods.ts';
import { templateHash } from './rollout.ts';

/** The label of pods and revisions that says which template they are of. */
export const REVISION_HASH = 'controller-revision-hash';

export interface RevisionOwner extends KubeObject {
  readonly spec: { readonly template: PodTemplate; readonly revisionHistoryLimit?: number; readonly selector: unknown };
}

export interface Revisions {
  /** The revision of the current template. */
  readonly update: ControllerRevision;
  /** All of the owner, the oldest first. */
  readonly all: readonly ControllerRevision[];
}

export const hashOf = (revision: ControllerRevision): string => revision.metadata.labels?.[REVISION_HASH] ?? '';

/** The template a revision kept. */
export function templateOf(revision: ControllerRevision): PodTemplate {
  const { $patch: _patch, ...template } = (revision.data as { spec: { template: PodTemplate & { $patch?: string } } }).spec.template;
  return template;
}

/** Finds or creates the revision of the current template; an old one that is used again becomes the newest. */
export async function syncRevisions(client: KubeClient, informer: Informer<ControllerRevision>, owner: RevisionOwner): Promise<Revisions> {
  const hash = templateHash(owner.spec.template);
  const owned = [...informer.items().values()].filter((one) => controllerOf(one)?.uid === owner.metadata.uid).sort((a, b) => a.revision - b.revision);
  const newest = owned.at(-1)?.revision ?? 0;
  const existing = owned.find((one) => hashOf(one) === hash);
  if (!existing) {
    const update = await createRevision(client, owner, hash, newest + 1);
    return { update, all: [...owned.filter((one) => one.metadata.uid !== update.metadata.uid), update] };
  }
  if (existing.revision === newest) return { update: existing, all: owned };
  const update = await client.mergePatch<ControllerRevision>(CONTROLLER_REVISION, existing.metadata.name, existing.metadata.namespace, { revision: newest + 1 });
  return { update, all: [...owned.filter((one) => one !== existing), update] };
}

async function createRevision(client: KubeClient, owner: RevisionOwner, hash: string, revision: number): Promise<ControllerRevision> {
  const name = `${owner.metadata.name}-${hash}`;
  try {
    return await client.create<ControllerRevision>(CONTROLLER_REVISION, {
      apiVersion: 'apps/v1', kind: 'ControllerRevision',
      metadata: { name, namespace: owner.metadata.namespace!, labels: { ...owner.spec.template.metadata?.labels, [REVISION_HASH]: hash }, ownerReferences: [controllerReference(owner)] },
      data: { spec: { template: { ...owner.spec.template, $patch: 'replace' } } },
      revision,
    });
  } catch (thrown) {
    // The informer had not shown it yet.
    const found = await client.get<ControllerRevision>(CONTROLLER_REVISION, name, owner.metadata.namespace);
    if (found && controllerOf(found)?.uid === owner.metadata.uid) return found;
    throw thrown;
  }
}

/** Deletes the oldest revisions beyond the limit that no pod is of. */
export async function trimRevisions(client: KubeClient, owner: RevisionOwner, revisions: Revisions, used: ReadonlySet<string>): Promise<void> {
  const idle = revisions.all.filter((one) => one !== revisions.update && !used.has(hashOf(one)));
  const surplus = idle.slice(0, Math.max(0, idle.length - (owner.spec.revisionHistoryLimit ?? 10)));
  await Promise.all(surplus.map((one) => client.delete(CONTROLLER_REVISION, one.metadata.name, one.metadata.namespace)));
}
