/** Manifests of ingress and egress gateways: the same program as a sidecar, injected by the `gateway` template. */
import type { KubeObject } from '../objects/meta.ts';
import type { GatewayComponent } from './operator.ts';
import { gatewayRbac } from './rbac.ts';

interface GatewayPort {
  readonly name: string;
  readonly port: number;
  readonly targetPort: number;
}

const INGRESS_PORTS: readonly GatewayPort[] = [
  { name: 'status-port', port: 15021, targetPort: 15021 },
  { name: 'http2', port: 80, targetPort: 8080 },
  { name: 'https', port: 443, targetPort: 8443 },
  { name: 'tcp', port: 31400, targetPort: 31400 },
  { name: 'tls', port: 15443, targetPort: 15443 },
];
const EGRESS_PORTS: readonly GatewayPort[] = [
  { name: 'http2', port: 80, targetPort: 8080 },
  { name: 'https', port: 443, targetPort: 8443 },
];

export function gatewayObjects(component: GatewayComponent, direction: 'ingress' | 'egress', namespace: string): readonly KubeObject[] {
  const { name } = component;
  const labels = component.label ?? { app: name, istio: `${direction}gateway` };
  const account = `${name}-service-account`;
  const ports = direction === 'ingress' ? INGRESS_PORTS : EGRESS_PORTS;
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account, namespace, labels } },
    ...gatewayRbac(name, { name: account, namespace }, labels),
    {
      apiVersion: 'v1', kind: 'Service', metadata: { name, namespace, labels },
      spec: { type: direction === 'ingress' ? 'LoadBalancer' : 'ClusterIP', selector: labels, ports: ports.map((port) => ({ ...port, protocol: 'TCP' })) },
    },
    gatewayDeployment(name, namespace, labels, account),
  ] as readonly KubeObject[];
}

function gatewayDeployment(name: string, namespace: string, labels: Readonly<Record<string, string>>, account: string): KubeObject {
  return {
    apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '100%', maxUnavailable: '25%' } },
      template: {
        metadata: {
          labels: { ...labels, 'sidecar.istio.io/inject': 'true', 'service.istio.io/canonical-name': name, 'service.istio.io/canonical-revision': 'latest' },
          annotations: { 'inject.istio.io/templates': 'gateway', 'prometheus.io/port': '15020', 'prometheus.io/scrape': 'true', 'prometheus.io/path': '/stats/prometheus' },
        },
        spec: {
          serviceAccountName: account,
          // `auto` is replaced by the injector; a pod that keeps it was made while no istiod could inject.
          containers: [{ name: 'istio-proxy', image: 'auto' }],
        },
      },
    },
  } as KubeObject;
}
