/** The pods of one kind of owner, kept by owner, and what a controller has just created or deleted but not yet seen. */
import type { KubeObject } from '../../objects/meta.ts';
import type { Pod, PodTemplate } from '../../objects/kubernetes/pod.ts';
import { POD } from '../../objects/resource-types.ts';
import type { InformerEvent } from '../client/informer.ts';
import type { KubeClient } from '../client/client.ts';
import type { ControllerContext } from './context.ts';
import { controllerOf, controllerReference } from './pods.ts';

/** Creations that the watch has not shown yet are waited for this long before pods are counted again without them. */
const EXPECTATION_MS = 5000;

export class OwnedPods {
  private readonly byOwner = new Map<string, Map<string, Pod>>();
  private readonly expected = new Map<string, { readonly uids: Set<string>; readonly until: number }>();

  /** `onChange` gets the key of the owner of every pod that changes. */
  constructor(context: ControllerContext, private readonly kind: string, private readonly onChange: (ownerKey: string) => void) {
    context.informer<Pod>(POD).onEvent((event) => this.onPod(event));
  }

  private onPod(event: InformerEvent<Pod>): void {
    const pod = event.object;
    const owner = controllerOf(pod);
    if (owner?.kind !== this.kind) return;
    const pods = this.byOwner.get(owner.uid) ?? new Map<string, Pod>();
    if (event.type === 'deleted') pods.delete(pod.metadata.uid!);
    else pods.set(pod.metadata.uid!, pod);
    if (pods.size === 0) this.byOwner.delete(owner.uid);
    else this.byOwner.set(owner.uid, pods);
    this.expected.get(owner.uid)?.uids.delete(pod.metadata.uid!);
    this.onChange(`${pod.metadata.namespace}/${owner.name}`);
  }

  /** All pods of an owner, finished and ending ones too. */
  of(owner: KubeObject): readonly Pod[] {
    return [...(this.byOwner.get(owner.metadata.uid!)?.values() ?? [])];
  }

  /** Milliseconds to wait because created pods have not shown up yet; 0 when the picture is complete. */
  pendingMs(owner: KubeObject): number {
    const pending = this.expected.get(owner.metadata.uid!);
    if (!pending || pending.uids.size === 0) return 0;
    const left = pending.until - Date.now();
    if (left <= 0) this.expected.delete(owner.metadata.uid!);
    return Math.max(0, left);
  }

  /** Notes created pods; those that the watch was faster with are not waited for. */
  expect(owner: KubeObject, created: readonly Pod[]): void {
    const uid = owner.metadata.uid!;
    const known = this.byOwner.get(uid);
    this.expected.set(uid, { uids: new Set(created.map((pod) => pod.metadata.uid!).filter((one) => !known?.has(one))), until: Date.now() + EXPECTATION_MS });
  }
}

/** What a pod made from a template has of its own. */
export interface PodIdentity {
  /** Exactly one of the two. */
  readonly name?: string;
  readonly generateName?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Changes the spec of the template. */
  readonly spec?: (spec: NonNullable<PodTemplate['spec']>) => NonNullable<PodTemplate['spec']>;
}

/** Creates a pod of an owner from a template. */
export function createPod(client: KubeClient, owner: KubeObject, template: PodTemplate, identity: PodIdentity): Promise<Pod> {
  const { name = '', generateName, labels, annotations, spec = (one) => one } = identity;
  return client.create<Pod>(POD, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      ...(generateName === undefined ? {} : { generateName }),
      namespace: owner.metadata.namespace!,
      labels: { ...template.metadata?.labels, ...labels },
      ...(template.metadata?.annotations || annotations ? { annotations: { ...template.metadata?.annotations, ...annotations } } : {}),
      ...(template.metadata?.finalizers ? { finalizers: template.metadata.finalizers } : {}),
      ownerReferences: [controllerReference(owner)],
    },
    spec: spec(template.spec!),
  } as Pod);
}
