import { describe, expect, it } from 'vitest';
import type { KubernetesGateway } from '../../objects/gateway-api/gateway.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { gatewayDeploymentObjects, type GatewayDeployment } from './deployment.ts';

type Fields = Readonly<Record<string, unknown>>;
const gateway = (spec: Fields = {}, metadata: Fields = {}) =>
  ({ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', metadata: { name: 'gw', namespace: 'ns', uid: 'u', ...metadata }, spec: { gatewayClassName: 'istio', ...spec } }) as KubernetesGateway;
const make = (input: Partial<GatewayDeployment> = {}) =>
  gatewayDeploymentObjects({ gateway: gateway(), name: 'gw-istio', serviceAccount: 'gw-istio', controllerLabel: 'istio.io-gateway-controller', serviceType: 'LoadBalancer', revision: '', listeners: [], overlays: [], ...input });
const specOf = (objects: readonly KubeObject[], kind: string) => (objects.find((object) => object.kind === kind) as { readonly spec?: Fields } | undefined)?.spec;

describe('gatewayDeploymentObjects', () => {
  it('makes an account, a Deployment and a Service that belong to the Gateway', () => {
    const objects = make();
    expect(objects.map(({ kind, metadata }) => [kind, metadata.name, metadata.namespace])).toEqual([['ServiceAccount', 'gw-istio', 'ns'], ['Deployment', 'gw-istio', 'ns'], ['Service', 'gw-istio', 'ns']]);
    for (const { metadata } of objects) expect(metadata.ownerReferences).toMatchObject([{ uid: 'u', name: 'gw' }]);
    expect(specOf(objects, 'Service')).toMatchObject({ type: 'LoadBalancer', selector: { 'gateway.networking.k8s.io/gateway-name': 'gw' } });
  });
  it('hands labels and annotations down: those of the infrastructure, else its own', () => {
    const metadata = { labels: { own: 'label' }, annotations: { own: 'note', 'kubectl.kubernetes.io/last-applied-configuration': '{}', 'gateway.istio.io/controller-version': '5' } };
    const noteOf = (objects: readonly KubeObject[]) => objects.map((object) => object.metadata.annotations)[0];
    expect(noteOf(make({ gateway: gateway({}, metadata) }))).toEqual({ own: 'note' });
    const [account] = make({ gateway: gateway({ infrastructure: { labels: { a: 'b' }, annotations: { c: 'd' } } }, metadata) });
    expect(account?.metadata).toMatchObject({ annotations: { c: 'd' }, labels: { a: 'b', 'istio.io/dataplane-mode': 'none' } });
    expect(account?.metadata.labels).not.toHaveProperty('own');
  });
  it('has one Service port for every number, with names of its own', () => {
    const listeners = [{ name: 'web', port: 80, protocol: 'HTTP' }, { name: 'again', port: 80, protocol: 'HTTP' }, { name: 'web', port: 443, protocol: 'HTTPS' }, { name: 'dns', port: 53, protocol: 'UDP' }];
    expect((specOf(make({ listeners }), 'Service')!['ports'] as readonly Fields[]).map(({ name, port, protocol, appProtocol }) => [name, port, protocol, appProtocol])).toEqual([
      ['status-port', 15_021, 'TCP', 'tcp'], ['web', 80, 'TCP', 'http'], ['https-443', 443, 'TCP', 'https'], ['dns', 53, 'UDP', 'udp'],
    ]);
  });
  it('asks for the address of the Gateway, and for the type of its annotation', () => {
    expect(specOf(make({ gateway: gateway({ addresses: [{ value: '192.0.2.1' }] }) }), 'Service')).toMatchObject({ loadBalancerIP: '192.0.2.1' });
    expect(specOf(make({ gateway: gateway({}, { annotations: { 'networking.istio.io/service-type': 'ClusterIP' } }) }), 'Service')).toMatchObject({ type: 'ClusterIP' });
  });
  it('is changed by overlays, in order; lists merge by their keys', () => {
    const objects = make({ overlays: [
      { deployment: { spec: { replicas: 2, template: { spec: { containers: [{ name: 'istio-proxy', resources: { requests: { cpu: '10m' } } }] } } } } },
      { deployment: { metadata: { name: 'other' }, spec: { replicas: 4 } }, horizontalPodAutoscaler: { spec: { minReplicas: 2, maxReplicas: 5 } }, podDisruptionBudget: { spec: { minAvailable: 1 } } },
    ] });
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(['ServiceAccount gw-istio', 'Deployment gw-istio', 'Service gw-istio', 'HorizontalPodAutoscaler gw-istio', 'PodDisruptionBudget gw-istio']);
    expect(specOf(objects, 'Deployment')).toMatchObject({ replicas: 4, template: { spec: { containers: [{ name: 'istio-proxy', image: 'auto', resources: { requests: { cpu: '10m' } } }] } } });
    expect(specOf(objects, 'HorizontalPodAutoscaler')).toMatchObject({ scaleTargetRef: { kind: 'Deployment', name: 'gw-istio' }, maxReplicas: 5 });
  });
});
