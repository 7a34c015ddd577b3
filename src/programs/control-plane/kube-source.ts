/** Objects of an API server, kept current by informers. */
import { createLogger } from '../../base/log.ts';
import type { KubeClient } from '../../kube/client/client.ts';
import { createInformer, type Informer } from '../../kube/client/informer.ts';
import type { ResourceType } from '../../objects/kind.ts';
import type { KubeObject } from '../../objects/meta.ts';
import {
  AUTHORIZATION_POLICY, BACKEND_TLS_POLICY, CONFIG_MAP, DESTINATION_RULE, ENDPOINT_SLICE, ENVOY_FILTER, GATEWAY, GATEWAY_CLASS, GRPC_ROUTE, HTTP_ROUTE, INGRESS, INGRESS_CLASS, KUBERNETES_GATEWAY,
  LISTENER_SET, NAMESPACE, NODE, PEER_AUTHENTICATION, POD, REFERENCE_GRANT, REQUEST_AUTHENTICATION, SECRET, SERVICE, SERVICE_ENTRY, SIDECAR, TCP_ROUTE, TELEMETRY, TLS_ROUTE, VIRTUAL_SERVICE, WASM_PLUGIN,
  WORKLOAD_ENTRY, X_BACKEND, X_BACKEND_TRAFFIC_POLICY, X_LISTENER_SET,
} from '../../objects/resource-types.ts';
import type { ObjectChange, ObjectSource } from './object-source.ts';
import { meansTheSame, trimObject } from './trim-object.ts';

const log = createLogger('kube');

/** Everything `resolve` reads. */
const WATCHED: readonly ResourceType[] = [
  NAMESPACE, NODE, POD, SERVICE, ENDPOINT_SLICE, SECRET, CONFIG_MAP, INGRESS, INGRESS_CLASS,
  VIRTUAL_SERVICE, DESTINATION_RULE, GATEWAY, SERVICE_ENTRY, SIDECAR, WORKLOAD_ENTRY, ENVOY_FILTER, PEER_AUTHENTICATION, REQUEST_AUTHENTICATION, AUTHORIZATION_POLICY,
  TELEMETRY, WASM_PLUGIN,
  GATEWAY_CLASS, KUBERNETES_GATEWAY, LISTENER_SET, X_LISTENER_SET, HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, REFERENCE_GRANT, BACKEND_TLS_POLICY, X_BACKEND_TRAFFIC_POLICY, X_BACKEND,
];

/** After this long a custom kind that cannot be listed no longer holds up the start. */
const CUSTOM_SYNC_TIMEOUT_MS = 15_000;

export interface KubeSourceOptions {
  readonly client: KubeClient;
  /** Namespace of istiod and its ConfigMap `istio`. */
  readonly systemNamespace: string;
  /** Name of the mesh ConfigMap: `istio`, or `istio-<revision>`. */
  readonly meshConfigMap: string;
  readonly signal: AbortSignal;
}

/** Starts the informers. */
export function createKubeSource(options: KubeSourceOptions): ObjectSource {
  const { client, signal } = options;
  const listeners: ((change: ObjectChange) => void)[] = [];
  const tell = (change: ObjectChange) => listeners.forEach((listener) => listener(change));
  const informers = WATCHED.map((type) => createInformer<KubeObject>(client, type, { signal, transform: trimObject, optional: isGatewayApi(type) }));
  const mesh = createInformer<KubeObject>(client, CONFIG_MAP, { signal, namespace: options.systemNamespace, fieldSelector: `metadata.name=${options.meshConfigMap}` });
  for (const informer of [...informers, mesh])
    informer.onEvent((event) => {
      if (event.type !== 'updated' || !meansTheSame(event.old, event.object)) tell({ type: event.type, object: event.object });
    });
  const slices = informers[WATCHED.indexOf(ENDPOINT_SLICE)]!;
  const namespaces = informers[WATCHED.indexOf(NAMESPACE)]!;
  return {
    synced: allSynced([...informers.map((informer, index) => [WATCHED[index]!, informer] as const), [CONFIG_MAP, mesh]]),
    *objects() {
      for (const informer of informers) yield* informer.items().values();
    },
    slicesOf: (namespace, service) => [...slices.items().values()].filter((slice) => slice.metadata.namespace === namespace && slice.metadata.labels?.['kubernetes.io/service-name'] === service),
    namespaces: () => namespaces.items(),
    meshConfigText() {
      const map = mesh.items().get(`${options.systemNamespace}/${options.meshConfigMap}`) as (KubeObject & { readonly data?: Readonly<Record<string, string>> }) | undefined;
      return map?.data?.['mesh'];
    },
    onChange: (listener) => void listeners.push(listener),
  };
}

/**
 * Without the cluster's own kinds nothing may be served: proxies would be told that the mesh is empty. Custom kinds are waited for a little longer only,
 * because their definitions may not be installed.
 */
async function allSynced(informers: readonly (readonly [ResourceType, Informer<KubeObject>])[]): Promise<void> {
  const isCustom = (type: ResourceType) => type.group.endsWith('istio.io') || isGatewayApi(type);
  await Promise.all(informers.filter(([type]) => !isCustom(type)).map(([, informer]) => informer.synced));
  const missing = new Set<string>();
  const custom = informers.filter(([type]) => isCustom(type)).map(([type, informer]) => {
    const name = `${type.plural}.${type.group}`;
    missing.add(name);
    return informer.synced.then(() => missing.delete(name));
  });
  const timeout = new Promise<void>((resolve) => setTimeout(resolve, CUSTOM_SYNC_TIMEOUT_MS).unref());
  await Promise.race([Promise.all(custom), timeout]);
  if (missing.size > 0) log.warn('starting without kinds that cannot be listed; are their CRDs installed?', { kinds: [...missing].join(',') });
}

/** Gateway API is often not installed, and its experimental kinds seldom are. */
function isGatewayApi({ group }: ResourceType): boolean {
  return group.startsWith('gateway.networking.');
}
