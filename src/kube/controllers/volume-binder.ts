/**
 * Gives claims their volumes: one that is there and fits, or a new folder of this machine. A claim in use is not removed, and a volume goes with its claim
 * unless it is to be retained. @see https://kubernetes.io/docs/concepts/storage/persistent-volumes/
 */
import type { PersistentVolumeClaim } from '../../objects/kubernetes/persistent-volume-claim.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { PersistentVolume, StorageClass } from '../../objects/kubernetes/storage.ts';
import { keyOf } from '../../objects/meta.ts';
import { PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS } from '../../objects/resource-types.ts';
import { ApiError } from '../client/client.ts';
import { compareQuantities, Quantity } from '../server/cel/quantity.ts';
import { matcherOf } from '../server/selectors.ts';
import type { ControllerContext } from './context.ts';
import { createWorkQueue } from './work-queue.ts';

/** The provisioner of folders on this machine. */
export const LOCAL_PROVISIONER = 'meltemi.dev/local-path';
/** The class of claims that name none. */
export const DEFAULT_CLASS = 'standard';
export const DEFAULT_CLASS_ANNOTATION = 'storageclass.kubernetes.io/is-default-class';
/** Keeps a claim that pods use. */
export const CLAIM_PROTECTION = 'kubernetes.io/pvc-protection';
const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';

/** Whose folders the volumes are. */
export interface VolumeFolders {
  /** Where the folder of a volume is; it need not exist yet. */
  path(volume: string): string;
  remove(volume: string): Promise<void>;
}

export function startVolumeBinder(context: ControllerContext, folders: VolumeFolders): void {
  new VolumeBinder(context, folders);
}

/** Whether a volume is a folder that this cluster made. */
export function isLocalVolume(volume: PersistentVolume | undefined): boolean {
  return volume?.metadata.annotations?.[PROVISIONED_BY] === LOCAL_PROVISIONER;
}

class VolumeBinder {
  private readonly client;
  private readonly claims;
  private readonly volumes;
  private readonly classes;
  private readonly pods;
  private readonly claimQueue;
  private readonly volumeQueue;

  constructor(context: ControllerContext, private readonly folders: VolumeFolders) {
    this.client = context.client;
    this.claims = context.informer<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIM);
    this.volumes = context.informer<PersistentVolume>(PERSISTENT_VOLUME);
    this.classes = context.informer<StorageClass>(STORAGE_CLASS);
    this.pods = context.informer<Pod>(POD);
    this.claimQueue = createWorkQueue('claim', (key) => this.reconcileClaim(key), context.signal);
    this.volumeQueue = createWorkQueue('volume', (name) => this.reconcileVolume(name), context.signal);
    this.claims.onEvent(({ object }) => {
      this.claimQueue.add(keyOf(object));
      if (object.spec.volumeName) this.volumeQueue.add(object.spec.volumeName);
    });
    this.volumes.onEvent(({ object }) => {
      this.volumeQueue.add(object.metadata.name);
      this.addUnbound();
    });
    this.classes.onEvent(() => this.addUnbound());
    this.pods.onEvent(({ object }) => {
      for (const volume of object.spec.volumes ?? []) if (volume.persistentVolumeClaim) this.claimQueue.add(`${object.metadata.namespace}/${volume.persistentVolumeClaim.claimName}`);
    });
    void this.ensureDefaultClass();
  }

  private async ensureDefaultClass(): Promise<void> {
    await this.classes.synced;
    if (this.classes.items().size > 0) return;
    const standard = { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: DEFAULT_CLASS, annotations: { [DEFAULT_CLASS_ANNOTATION]: 'true' } }, provisioner: LOCAL_PROVISIONER };
    await this.client.create<StorageClass>(STORAGE_CLASS, standard).catch(() => {});
  }

  private addUnbound(): void {
    for (const [key, claim] of this.claims.items()) if (claim.status?.phase !== 'Bound') this.claimQueue.add(key);
  }

  private async reconcileClaim(key: string): Promise<void> {
    const claim = this.claims.items().get(key);
    if (!claim) return;
    await Promise.all([this.volumes.synced, this.classes.synced, this.pods.synced]);
    if (claim.metadata.deletionTimestamp !== undefined) return this.release(claim);
    if (claim.status?.phase === 'Bound') return;
    const volume = this.volumeFor(claim) ?? (await this.provision(claim));
    if (volume) await this.bind(claim, volume);
  }

  /** Lets a claim go that no pod uses any more. */
  private async release(claim: PersistentVolumeClaim): Promise<void> {
    const finalizers = claim.metadata.finalizers ?? [];
    if (!finalizers.includes(CLAIM_PROTECTION)) return;
    const { name, namespace } = claim.metadata;
    const uses = (pod: Pod): boolean => pod.metadata.namespace === namespace && pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed' && (pod.spec.volumes ?? []).some((volume) => volume.persistentVolumeClaim?.claimName === name);
    if ([...this.pods.items().values()].some(uses)) return;
    await this.client.mergePatch(PERSISTENT_VOLUME_CLAIM, name, namespace, { metadata: { finalizers: finalizers.filter((one) => one !== CLAIM_PROTECTION) } });
  }

  /** The volume that was made for the claim, or the smallest free one that fits. */
  private volumeFor(claim: PersistentVolumeClaim): PersistentVolume | undefined {
    const { namespace, name, uid } = claim.metadata;
    const all = [...this.volumes.items().values()].filter((volume) => volume.metadata.deletionTimestamp === undefined);
    const isOurs = (volume: PersistentVolume): boolean => {
      const reference = volume.spec.claimRef;
      return reference?.namespace === namespace && reference?.name === name && (reference?.uid === undefined || reference.uid === uid);
    };
    const reserved = all.find(isOurs);
    if (reserved) return reserved;
    if (claim.spec.volumeName) return all.find((volume) => volume.metadata.name === claim.spec.volumeName && !volume.spec.claimRef);
    const chosen = matcherOf(claim.spec.selector, true);
    const fits = (volume: PersistentVolume): boolean =>
      !volume.spec.claimRef && volume.status?.phase === 'Available' && (volume.spec.storageClassName ?? '') === (claim.spec.storageClassName ?? '') && chosen(volume.metadata.labels) &&
      (claim.spec.accessModes ?? []).every((mode) => volume.spec.accessModes?.includes(mode)) && compareQuantities(sizeOf(volume.spec.capacity), sizeOf(claim.spec.resources?.requests)) >= 0;
    return all.filter(fits).sort((a, b) => compareQuantities(sizeOf(a.spec.capacity), sizeOf(b.spec.capacity)))[0];
  }

  private async provision(claim: PersistentVolumeClaim): Promise<PersistentVolume | undefined> {
    const storageClass = this.classes.items().get(claim.spec.storageClassName ?? '');
    if (storageClass?.provisioner !== LOCAL_PROVISIONER || claim.spec.volumeName || claim.spec.selector) return undefined;
    const { namespace, name, uid } = claim.metadata;
    const volumeName = `pvc-${uid}`;
    try {
      return await this.client.create<PersistentVolume>(PERSISTENT_VOLUME, {
        apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: volumeName, annotations: { [PROVISIONED_BY]: LOCAL_PROVISIONER } },
        spec: {
          capacity: { storage: claim.spec.resources?.requests?.['storage'] ?? '0' }, accessModes: claim.spec.accessModes ?? [], storageClassName: storageClass.metadata.name,
          persistentVolumeReclaimPolicy: (storageClass.reclaimPolicy ?? 'Delete') as 'Delete' | 'Retain', claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: namespace!, name, uid: uid! },
          hostPath: { path: this.folders.path(volumeName), type: 'DirectoryOrCreate' },
        },
      } as PersistentVolume);
    } catch (thrown) {
      // The informer had not shown it yet.
      if (!(thrown instanceof ApiError) || thrown.reason !== 'AlreadyExists') throw thrown;
      return this.client.get<PersistentVolume>(PERSISTENT_VOLUME, volumeName);
    }
  }

  private async bind(claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
    const { namespace, name, uid } = claim.metadata;
    if (volume.spec.claimRef?.uid !== uid) await this.client.mergePatch(PERSISTENT_VOLUME, volume.metadata.name, undefined, { spec: { claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid } } });
    if (claim.spec.volumeName !== volume.metadata.name) await this.client.mergePatch(PERSISTENT_VOLUME_CLAIM, name, namespace, { metadata: { annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } }, spec: { volumeName: volume.metadata.name } });
    await this.client.mergePatch(PERSISTENT_VOLUME_CLAIM, name, namespace, { status: { phase: 'Bound', accessModes: volume.spec.accessModes, capacity: volume.spec.capacity } }, { subresource: 'status' });
    await this.setPhase(volume, 'Bound');
  }

  private async setPhase(volume: PersistentVolume, phase: string): Promise<void> {
    if (volume.status?.phase !== phase) await this.client.mergePatch(PERSISTENT_VOLUME, volume.metadata.name, undefined, { status: { phase } }, { subresource: 'status' });
  }

  private async reconcileVolume(name: string): Promise<void> {
    await this.claims.synced;
    const volume = this.volumes.items().get(name);
    if (!volume || volume.metadata.deletionTimestamp !== undefined) return;
    const reference = volume.spec.claimRef;
    if (!reference) return this.setPhase(volume, 'Available');
    const claim = await this.client.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIM, reference.name ?? '', reference.namespace);
    if (claim && (reference.uid === undefined || claim.metadata.uid === reference.uid)) return;
    // Nobody's folder is removed but those that were made here.
    if (volume.spec.persistentVolumeReclaimPolicy !== 'Delete' || !isLocalVolume(volume)) return this.setPhase(volume, 'Released');
    await this.client.delete(PERSISTENT_VOLUME, name);
    await this.folders.remove(name);
  }
}

function sizeOf(quantities: Readonly<Record<string, number | string>> | undefined): Quantity {
  return new Quantity(String(quantities?.['storage'] ?? '0'));
}
