/** Keeps ConfigMap `istio-ca-root-cert` in every namespace: how pods learn the root they must trust. */
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { ApiError, type KubeClient } from '../../kube/client/client.ts';
import { createInformer } from '../../kube/client/informer.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { CONFIG_MAP } from '../../objects/resource-types.ts';
import type { ObjectSource } from './object-source.ts';

const log = createLogger('namespaces');

const NAME = 'istio-ca-root-cert';
const KEY = 'root-cert.pem';
/** Namespaces without workloads of the mesh, as in Istio. */
const IGNORED = new Set(['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage']);

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface RootConfigMapsOptions {
  readonly client: KubeClient;
  readonly source: ObjectSource;
  readonly rootCertPem: () => string;
  readonly signal: AbortSignal;
}

/** Starts; the returned function writes all maps again after the root changed. */
export function maintainRootConfigMaps({ client, source, rootCertPem, signal }: RootConfigMapsOptions): () => void {
  const maps = createInformer<ConfigMap>(client, CONFIG_MAP, { signal, fieldSelector: `metadata.name=${NAME}` });
  const write = (namespace: string) => {
    if (IGNORED.has(namespace) || signal.aborted) return;
    put(client, namespace, rootCertPem()).catch((error: unknown) => log.warn('the root certificate could not be written', { namespace, error: messageOf(error) }));
  };
  const ensure = (namespace: string) => {
    const object = source.namespaces().get(namespace);
    if (!object || object.metadata.deletionTimestamp) return;
    if (maps.items().get(`${namespace}/${NAME}`)?.data?.[KEY] !== rootCertPem()) write(namespace);
  };
  const ensureAll = () => {
    for (const namespace of source.namespaces().keys()) ensure(namespace);
  };
  source.onChange(({ type, object }) => {
    if (type === 'added' && object.kind === 'Namespace') ensure(object.metadata.name);
  });
  void maps.synced.then(() => {
    maps.onEvent((event) => ensure(event.object.metadata.namespace ?? ''));
    ensureAll();
  });
  return ensureAll;
}

async function put(client: KubeClient, namespace: string, root: string): Promise<void> {
  const map: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: NAME, namespace, labels: { 'istio.io/config': 'true' } }, data: { [KEY]: root } };
  try {
    await client.create<ConfigMap>(CONFIG_MAP, map);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // The namespace is going away: nobody will read the map.
    if (error.code === 404 || error.code === 403) return;
    if (error.code !== 409) throw error;
    await client.mergePatch<ConfigMap>(CONFIG_MAP, NAME, namespace, { data: { [KEY]: root } });
  }
}
