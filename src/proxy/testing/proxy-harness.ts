/** Test material: a whole proxy on static resources. */
import type { JsonObject } from '@bufbuild/protobuf';
import type { TlsSecret } from '../../xds/secret-source.ts';
import { encodeResource } from '../../xds/codec.ts';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { fromEnvoyJson } from '../../xds/registry.ts';
import type { ProxyNode } from '../config/runtime.ts';
import { startProxy } from '../start.ts';
import type { Proxy } from '../start.ts';

const T = 'type.googleapis.com/';

/** A sidecar of workload `client`. */
export const testNode: ProxyNode = {
  id: 'sidecar~10.0.0.1~client-1.default~default.svc.cluster.local', cluster: 'client.default', type: 'sidecar', metadata: { NAME: 'client-1' },
  workload: { workload: 'client', namespace: 'default', app: 'client', version: 'v1', canonicalService: 'client', canonicalRevision: 'v1', cluster: 'Kubernetes' },
};

/** A STATIC cluster. */
export function staticCluster(name: string, ports: readonly number[], more: JsonObject = {}): JsonObject {
  return {
    name, type: 'STATIC', connectTimeout: '2s',
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: ports.map((portValue) => ({ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } } })) }] },
    ...more,
  };
}

/** The HCM filter of the usual sidecar. `routes`: of one virtual host for every domain, unless `routeConfig` is given. */
export function hcmFilter(routes: readonly JsonObject[], more: JsonObject = {}): JsonObject {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typedConfig: {
      '@type': `${T}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      statPrefix: 'test', serverName: 'istio-envoy', normalizePath: true, streamIdleTimeout: '0s', upgradeConfigs: [{ upgradeType: 'websocket' }],
      routeConfig: { name: 'r', virtualHosts: [{ name: 'all', domains: ['*'], routes: [...routes], includeRequestAttemptCount: true }] },
      httpFilters: [
        { name: 'envoy.filters.http.fault', typedConfig: { '@type': `${T}envoy.extensions.filters.http.fault.v3.HTTPFault` } },
        { name: 'envoy.filters.http.cors', typedConfig: { '@type': `${T}envoy.extensions.filters.http.cors.v3.Cors` } },
        { name: 'envoy.filters.http.router', typedConfig: { '@type': `${T}envoy.extensions.filters.http.router.v3.Router` } },
      ],
      ...more,
    },
  };
}

/** A listener on a port of the system's choice. */
export function listenerOf(name: string, filterChains: readonly JsonObject[], more: JsonObject = {}): JsonObject {
  return { name, address: { socketAddress: { address: '127.0.0.1', portValue: 0 } }, trafficDirection: 'OUTBOUND', filterChains: [...filterChains], ...more };
}

export interface Harness {
  readonly proxy: Proxy;
  /** CDS brings another version of a cluster. @throws Error when it is refused. */
  replaceCluster(cluster: JsonObject): void;
  /** New secrets arrive. */
  rotate(secrets: readonly TlsSecret[]): void;
  /** Accepted connections that are open now. */
  connections(): readonly { destroy(): void }[];
  /** Real port of a listener. */
  port(listener: string): number;
  close(): Promise<void>;
}

/** Starts a proxy on the resources. @throws Error when any is refused. */
export async function startStatic(resources: { readonly clusters: readonly JsonObject[]; readonly listeners: readonly JsonObject[]; readonly secrets?: readonly TlsSecret[]; readonly node?: ProxyNode; readonly random?: () => number }): Promise<Harness> {
  const secrets = new Map((resources.secrets ?? []).map((secret) => [secret.name, secret]));
  const watchers = new Map<string, (secret: TlsSecret) => void>();
  const proxy = startProxy({
    node: resources.node ?? testNode,
    ads: undefined,
    drainTimeMs: 500,
    secrets: {
      watch(name, onSecret) {
        const secret = secrets.get(name);
        watchers.set(name, onSecret);
        if (secret !== undefined) onSecret(secret);
        return () => {};
      },
    },
    ...(resources.random === undefined ? {} : { random: resources.random }),
  });
  const problems = proxy.config.addStatic({
    clusters: resources.clusters.map((json) => encodeResource(fromEnvoyJson(ClusterSchema, json))),
    listeners: resources.listeners.map((json) => encodeResource(fromEnvoyJson(ListenerSchema, json))),
  });
  if (problems !== undefined) throw new Error(problems);
  for (let waited = 0; resources.listeners.some(({ name, bindToPort }) => bindToPort !== false && proxy.listeners.boundPort(String(name)) === undefined); waited++) {
    if (waited > 300) throw new Error('listeners did not open');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const rotate = (rotated: readonly TlsSecret[]): void => rotated.forEach((secret) => watchers.get(secret.name)?.(secret));
  const replaceCluster = (cluster: JsonObject): void => {
    const problem = proxy.config.addStatic({ clusters: [encodeResource(fromEnvoyJson(ClusterSchema, cluster))] });
    if (problem !== undefined) throw new Error(problem);
  };
  return { proxy, rotate, replaceCluster, connections: () => [...proxy.listeners.open()], port: (listener) => proxy.listeners.boundPort(listener)!, close: () => proxy.close() };
}
