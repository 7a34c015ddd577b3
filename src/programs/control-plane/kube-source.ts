/** Objects of an API server, kept current by informers. */
import type { KubeClient } from '../../kube/client/client.ts';
import { createInformer, type Informer } from '../../kube/client/informer.ts';
import type { ResourceType } from '../../objects/kind.ts';
import { keyOf, type KubeObject } from '../../objects/meta.ts';
import {
  AUTHENTICATION_POLICY, AUTHORIZATION_POLICY, BACKEND_TLS_POLICY, CLUSTER_RBAC_CONFIG, CONFIG_MAP, DESTINATION_RULE, ENDPOINT_SLICE, ENVOY_FILTER, EXTENSIONS_INGRESS, GATEWAY, GATEWAY_CLASS, GRPC_ROUTE, HTTP_ROUTE, INGRESS, INGRESS_CLASS, KUBERNETES_GATEWAY,
  LISTENER_SET, MESH_POLICY, NAMESPACE, NODE, PEER_AUTHENTICATION, POD, RBAC_CONFIG, REFERENCE_GRANT, REQUEST_AUTHENTICATION, SECRET, SERVICE, SERVICE_ENTRY, SERVICE_ROLE, SERVICE_ROLE_BINDING, SIDECAR,
  SMI_HTTP_ROUTE_GROUP, SMI_TCP_ROUTE, TCP_ROUTE, TELEMETRY, TLS_ROUTE, TRAFFIC_SPLIT, TRAFFIC_TARGET, VIRTUAL_SERVICE, WASM_PLUGIN,
  WORKLOAD_ENTRY, X_BACKEND, X_BACKEND_TRAFFIC_POLICY, X_LISTENER_SET,
} from '../../objects/resource-types.ts';
import type { ObjectChange, ObjectSource } from './object-source.ts';
import { meansTheSame, trimObject } from './trim-object.ts';

/** Everything `resolve` reads. */
const WATCHED: readonly ResourceType[] = [
  NAMESPACE, NODE, POD, SERVICE, ENDPOINT_SLICE, SECRET, CONFIG_MAP, INGRESS, INGRESS_CLASS,
  VIRTUAL_SERVICE, DESTINATION_RULE, GATEWAY, SERVICE_ENTRY, SIDECAR, WORKLOAD_ENTRY, ENVOY_FILTER, PEER_AUTHENTICATION, REQUEST_AUTHENTICATION, AUTHORIZATION_POLICY,
  TELEMETRY, WASM_PLUGIN,
  GATEWAY_CLASS, KUBERNETES_GATEWAY, LISTENER_SET, X_LISTENER_SET, HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, REFERENCE_GRANT, BACKEND_TLS_POLICY, X_BACKEND_TRAFFIC_POLICY, X_BACKEND,
  // What came before, and another dialect.
  EXTENSIONS_INGRESS, MESH_POLICY, AUTHENTICATION_POLICY, SERVICE_ROLE, SERVICE_ROLE_BINDING, RBAC_CONFIG, CLUSTER_RBAC_CONFIG,
  TRAFFIC_SPLIT, SMI_HTTP_ROUTE_GROUP, SMI_TCP_ROUTE, TRAFFIC_TARGET,
];

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
  const informers = WATCHED.map((type) => createInformer<KubeObject>(client, type, { signal, transform: trimObject, optional: isCustom(type) }));
  const mesh = createInformer<KubeObject>(client, CONFIG_MAP, { signal, namespace: options.systemNamespace, fieldSelector: `metadata.name=${options.meshConfigMap}` });
  for (const informer of [...informers, mesh])
    informer.onEvent((event) => {
      if (event.type !== 'updated' || !meansTheSame(event.old, event.object)) tell({ type: event.type, object: event.object });
    });
  const slices = informers[WATCHED.indexOf(ENDPOINT_SLICE)]!;
  const bySlice = indexSlices(slices);
  const namespaces = informers[WATCHED.indexOf(NAMESPACE)]!;
  return {
    // Without any of these nothing may be served: proxies would be told that the mesh is empty, or that it has no policies. A custom kind counts as read
    // when the API says that it does not exist; any other refusal is waited out.
    synced: Promise.all([...informers, mesh].map((informer) => informer.synced)).then(() => undefined),
    *objects() {
      for (const informer of informers) yield* informer.items().values();
    },
    slicesOf: (namespace, service) => [...(bySlice.get(`${namespace}/${service}`) ?? [])].flatMap((key) => slices.items().get(key) ?? []),
    namespaces: () => namespaces.items(),
    meshConfigText() {
      const map = mesh.items().get(`${options.systemNamespace}/${options.meshConfigMap}`) as (KubeObject & { readonly data?: Readonly<Record<string, string>> }) | undefined;
      return map?.data?.['mesh'];
    },
    onChange: (listener) => void listeners.push(listener),
  };
}

/** Keys of the slices of each service (`namespace/name`): an endpoint change must not look at every slice of the mesh. */
function indexSlices(slices: Informer<KubeObject>): ReadonlyMap<string, ReadonlySet<string>> {
  const index = new Map<string, Set<string>>();
  const ownerOf = (slice: KubeObject) => `${slice.metadata.namespace ?? ''}/${slice.metadata.labels?.['kubernetes.io/service-name'] ?? ''}`;
  const drop = (slice: KubeObject) => {
    const keys = index.get(ownerOf(slice));
    keys?.delete(keyOf(slice));
    if (keys?.size === 0) index.delete(ownerOf(slice));
  };
  slices.onEvent((event) => {
    if (event.type === 'updated') drop(event.old);
    if (event.type === 'deleted') return drop(event.object);
    const keys = index.get(ownerOf(event.object));
    if (keys) keys.add(keyOf(event.object));
    else index.set(ownerOf(event.object), new Set([keyOf(event.object)]));
  });
  return index;
}

/** Kinds whose definitions may not be installed: Gateway API often is not, its experimental kinds seldom are. No server of today has `extensions`. */
function isCustom({ group }: ResourceType): boolean {
  return group.endsWith('istio.io') || group.startsWith('gateway.networking.') || group.endsWith('smi-spec.io') || group === 'extensions';
}
