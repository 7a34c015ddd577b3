/** Folders of persistent volumes: below the state directory, so that they outlive pods and clusters. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isLocalVolume, type VolumeFolders } from '../kube/controllers/volume-binder.ts';
import type { Informer } from '../kube/client/informer.ts';
import type { PersistentVolumeClaim } from '../objects/kubernetes/persistent-volume-claim.ts';
import type { PersistentVolume } from '../objects/kubernetes/storage.ts';
import { VolumeError } from './kubelet/volumes.ts';

/** Names of objects cannot leave the folder: they have no slashes and are not `..`. */
export function volumeFolders(root: string): VolumeFolders {
  const path = (volume: string): string => join(root, volume);
  return { path, remove: (volume) => rm(path(volume), { recursive: true, force: true }) };
}

/** Finds the folder of a claim, in the words of a kubelet and a scheduler when there is none. */
export function claimFolders(claims: Informer<PersistentVolumeClaim>, volumes: Informer<PersistentVolume>, folders: VolumeFolders): (namespace: string, claim: string) => string {
  return (namespace, name) => {
    const claim = claims.items().get(`${namespace}/${name}`);
    if (!claim || claim.metadata.deletionTimestamp !== undefined) throw new VolumeError(`persistentvolumeclaim "${name}" not found`);
    const volume = claim.status?.phase === 'Bound' ? volumes.items().get(claim.spec.volumeName ?? '') : undefined;
    if (!volume) throw new VolumeError(`pod has unbound immediate PersistentVolumeClaims: "${name}"`);
    if (!isLocalVolume(volume)) throw new VolumeError(`persistentvolumeclaim "${name}": volume "${volume.metadata.name}" is none that this cluster made; folders of the machine and disks of others are not mounted`);
    return folders.path(volume.metadata.name);
  };
}
