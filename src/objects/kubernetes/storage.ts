/** Storage that the cluster has: volumes and classes of them. */
import type { KubeObject, SpecObject } from '../meta.ts';
import { PERSISTENT_VOLUME, STORAGE_CLASS } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { anyObject, bool, having, list, map, obj, oneOf, quantity, req, str, strDefault, time, type Infer } from '../schema/dsl.ts';
import { objectReference } from './meta-schema.ts';

/** Sources that no machine of ours can mount are kept as they are. */
const FOREIGN_SOURCES = ['awsElasticBlockStore', 'azureDisk', 'azureFile', 'cephfs', 'cinder', 'csi', 'fc', 'flexVolume', 'flocker', 'gcePersistentDisk', 'glusterfs', 'iscsi', 'photonPersistentDisk', 'portworxVolume', 'quobyte', 'rbd', 'scaleIO', 'storageos', 'vsphereVolume'] as const;
const foreign = Object.fromEntries(FOREIGN_SOURCES.map((name) => [name, anyObject()])) as Record<(typeof FOREIGN_SOURCES)[number], ReturnType<typeof anyObject>>;

const spec = obj({
  capacity: map(quantity()),
  accessModes: list(str(), { atomic: true }),
  claimRef: having(objectReference, { 'x-kubernetes-map-type': 'granular' }),
  persistentVolumeReclaimPolicy: having(oneOf('Retain', 'Delete', 'Recycle'), { default: 'Retain' }),
  storageClassName: str(),
  mountOptions: list(str(), { atomic: true }),
  volumeMode: having(oneOf('Filesystem', 'Block'), { default: 'Filesystem' }),
  volumeAttributesClassName: str(),
  nodeAffinity: anyObject(),
  hostPath: obj({ path: req(str()), type: strDefault('') }),
  local: obj({ path: req(str()), fsType: str() }),
  nfs: obj({ server: req(str()), path: req(str()), readOnly: bool() }),
  ...foreign,
});
const status = obj({ phase: str(), message: str(), reason: str(), lastPhaseTransitionTime: time() });

/** A piece of storage. @see https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-v1/ */
export type PersistentVolume = SpecObject<Infer<typeof spec>, Infer<typeof status>>;
export const PERSISTENT_VOLUME_KIND = defineKind(PERSISTENT_VOLUME, { shortNames: ['pv'], status: true, fields: { spec, status } });

/** How claims of a class get their volumes. @see https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/storage-class-v1/ */
export interface StorageClass extends KubeObject {
  readonly provisioner: string;
  readonly reclaimPolicy?: string;
  readonly volumeBindingMode?: string;
}
export const STORAGE_CLASS_KIND = defineKind(STORAGE_CLASS, {
  shortNames: ['sc'],
  fields: {
    provisioner: str(),
    parameters: map(str()),
    reclaimPolicy: having(oneOf('Delete', 'Retain'), { default: 'Delete' }),
    mountOptions: list(str(), { atomic: true }),
    allowVolumeExpansion: bool(),
    volumeBindingMode: having(oneOf('Immediate', 'WaitForFirstConsumer'), { default: 'Immediate' }),
    allowedTopologies: list(anyObject(), { atomic: true }),
  },
  required: ['provisioner'],
});
