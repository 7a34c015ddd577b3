/** A volume of a pod. The kinds of volumes that one machine can mount are spelled out; cloud disks are kept as they are. */
import { anyObject, bool, int, int64, list, map, obj, quantity, req, str, strDefault, type Infer } from '../schema/dsl.ts';
import { objectFieldSelector, resourceFieldSelector } from './container.ts';
import { labelSelector } from './meta-schema.ts';

const keyToPath = obj({ key: req(str()), path: req(str()), mode: int() });
const items = list(keyToPath, { atomic: true });
const downwardItems = list(obj({ path: req(str()), fieldRef: objectFieldSelector, resourceFieldRef: resourceFieldSelector, mode: int() }), { atomic: true });

const projectedSource = obj({
  secret: obj({ name: strDefault(''), items, optional: bool() }),
  configMap: obj({ name: strDefault(''), items, optional: bool() }),
  downwardAPI: obj({ items: downwardItems }),
  serviceAccountToken: obj({ audience: str(), expirationSeconds: int64({ default: 3600 }), path: req(str()) }),
  clusterTrustBundle: obj({ name: str(), signerName: str(), labelSelector, optional: bool(), path: req(str()) }),
  podCertificate: anyObject(),
});

/** One volume. */
export const volume = obj({
  name: req(str()),
  emptyDir: obj({ medium: str(), sizeLimit: quantity() }),
  hostPath: obj({ path: req(str()), type: strDefault('') }),
  configMap: obj({ name: strDefault(''), items, defaultMode: int({ default: 420 }), optional: bool() }),
  secret: obj({ secretName: str(), items, defaultMode: int({ default: 420 }), optional: bool() }),
  downwardAPI: obj({ items: downwardItems, defaultMode: int({ default: 420 }) }),
  projected: obj({ sources: list(projectedSource, { atomic: true }), defaultMode: int({ default: 420 }) }),
  persistentVolumeClaim: obj({ claimName: req(str()), readOnly: bool() }),
  nfs: obj({ server: req(str()), path: req(str()), readOnly: bool() }),
  csi: obj({ driver: req(str()), readOnly: bool(), fsType: str(), volumeAttributes: map(str()), nodePublishSecretRef: obj({ name: strDefault('') }) }),
  ephemeral: anyObject(),
  image: obj({ reference: str(), pullPolicy: str() }),
  awsElasticBlockStore: anyObject(),
  azureDisk: anyObject(),
  azureFile: anyObject(),
  cephfs: anyObject(),
  cinder: anyObject(),
  fc: anyObject(),
  flexVolume: anyObject(),
  flocker: anyObject(),
  gcePersistentDisk: anyObject(),
  gitRepo: anyObject(),
  glusterfs: anyObject(),
  iscsi: anyObject(),
  photonPersistentDisk: anyObject(),
  portworxVolume: anyObject(),
  quobyte: anyObject(),
  rbd: anyObject(),
  scaleIO: anyObject(),
  storageos: anyObject(),
  vsphereVolume: anyObject(),
});
/** One volume. */
export type Volume = Infer<typeof volume>;
