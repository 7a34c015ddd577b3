/** Objects that every cluster has: the services of the API server and of DNS. */
import type { KubeClient } from '../kube/client/client.ts';
import type { EndpointSlice } from '../objects/kubernetes/endpoint-slice.ts';
import type { Service } from '../objects/kubernetes/service.ts';
import type { KubeObject } from '../objects/meta.ts';
import type { ResourceType } from '../objects/kind.ts';
import { ENDPOINT_SLICE, NAMESPACE, SERVICE } from '../objects/resource-types.ts';
import { API_PORT, API_SERVICE_IP, DNS_SERVICE_IP, NODE_IP } from './settings.ts';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

interface SystemService {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIP: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: number; readonly protocol: 'TCP' | 'UDP' }[];
}

const SERVICES: readonly SystemService[] = [
  { namespace: 'default', name: 'kubernetes', clusterIP: API_SERVICE_IP, labels: { component: 'apiserver', provider: 'kubernetes' }, ports: [{ name: 'https', port: 443, targetPort: API_PORT, protocol: 'TCP' }] },
  {
    namespace: 'kube-system', name: 'kube-dns', clusterIP: DNS_SERVICE_IP, labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/name': 'CoreDNS' },
    ports: [{ name: 'dns', port: 53, targetPort: 53, protocol: 'UDP' }, { name: 'dns-tcp', port: 53, targetPort: 53, protocol: 'TCP' }],
  },
];

/** Creates what is missing; neither service has a selector, their endpoints are this node. */
export async function ensureSystemObjects(client: KubeClient): Promise<void> {
  for (const name of NAMESPACES) await ensure(client, NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  for (const { namespace, name, clusterIP, labels, ports } of SERVICES) {
    const service: Service = { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace, labels }, spec: { type: 'ClusterIP', clusterIP, clusterIPs: [clusterIP], ports } };
    const slice: EndpointSlice = {
      apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } }, addressType: 'IPv4',
      endpoints: [{ addresses: [NODE_IP], conditions: { ready: true, serving: true, terminating: false } }], ports: ports.map((port) => ({ name: port.name, port: port.targetPort, protocol: port.protocol })),
    };
    await ensure(client, SERVICE, service);
    await ensure(client, ENDPOINT_SLICE, slice);
  }
}

async function ensure<T extends KubeObject>(client: KubeClient, type: ResourceType, object: T): Promise<void> {
  if (!(await client.get(type, object.metadata.name, object.metadata.namespace))) await client.create(type, object);
}
