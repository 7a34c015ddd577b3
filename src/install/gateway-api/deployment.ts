/** What is deployed for a Gateway of Gateway API: an account, a proxy as a gateway, and a Service with its listeners' ports. */
import type { KubernetesGateway } from '../../objects/gateway-api/gateway.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { findKind } from '../../objects/registry.ts';
import { strategicMergePatch } from '../../kube/server/patch/strategic.ts';

/** Label with the name of the Gateway something belongs to; pods are selected by it. */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name';
/** Label of what a controller made, with the controller's name. */
export const MANAGED_LABEL = 'gateway.istio.io/managed';
const CLASS_LABEL = 'gateway.networking.k8s.io/gateway-class-name';

export interface GatewayDeployment {
  readonly gateway: KubernetesGateway;
  /** Name of Deployment and Service. */
  readonly name: string;
  readonly serviceAccount: string;
  /** Value of {@link MANAGED_LABEL}. */
  readonly controllerLabel: string;
  readonly serviceType: 'LoadBalancer' | 'ClusterIP';
  /** '' for the default revision. */
  readonly revision: string;
  /** Listeners of the Gateway and its ListenerSets. */
  readonly listeners: readonly GatewayPort[];
  /** Changes to what is made, the first one first: YAML that was read, by the ConfigMap's key. */
  readonly overlays: readonly GatewayOverlay[];
}

export interface GatewayPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

/** Strategic merge patches; an autoscaler or a disruption budget is only made when there is one for it. */
export interface GatewayOverlay {
  readonly deployment?: unknown;
  readonly service?: unknown;
  readonly serviceAccount?: unknown;
  readonly horizontalPodAutoscaler?: unknown;
  readonly podDisruptionBudget?: unknown;
}

type Labels = Readonly<Record<string, string>>;

/** Manifests, what others depend on first. @throws ApiError for an overlay that is no patch */
export function gatewayDeploymentObjects(input: GatewayDeployment): readonly KubeObject[] {
  const { gateway, name, serviceAccount } = input;
  const labels = labelsOf(input);
  const selector = { [GATEWAY_NAME_LABEL]: gateway.metadata.name };
  const own = (objectName: string) => ({
    name: objectName, namespace: gateway.metadata.namespace ?? 'default', labels, annotations: annotationsOf(gateway),
    ownerReferences: [{ apiVersion: gateway.apiVersion, kind: gateway.kind, name: gateway.metadata.name, uid: gateway.metadata.uid ?? '' }],
  });
  const target = { apiVersion: 'apps/v1', kind: 'Deployment', name };
  const made: readonly (readonly [keyof GatewayOverlay, KubeObject])[] = [
    ['serviceAccount', { apiVersion: 'v1', kind: 'ServiceAccount', metadata: own(serviceAccount) }],
    ['deployment', { apiVersion: 'apps/v1', kind: 'Deployment', metadata: own(name), spec: { selector: { matchLabels: selector }, template: podTemplate(input, labels) } } as KubeObject],
    ['service', { apiVersion: 'v1', kind: 'Service', metadata: own(name), spec: serviceSpec(input, selector) } as KubeObject],
    ['horizontalPodAutoscaler', { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: own(name), spec: { scaleTargetRef: target, maxReplicas: 1 } } as KubeObject],
    ['podDisruptionBudget', { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: own(name), spec: { selector: { matchLabels: selector } } } as KubeObject],
  ];
  const optional = new Set<keyof GatewayOverlay>(['horizontalPodAutoscaler', 'podDisruptionBudget']);
  return made.flatMap(([key, object]) => {
    const patches = input.overlays.flatMap((overlay) => (overlay[key] === undefined || overlay[key] === null ? [] : [overlay[key]]));
    if (patches.length === 0) return optional.has(key) ? [] : [object];
    return [patches.reduce<KubeObject>((current, patch) => withPatch(current, patch), object)];
  });
}

function withPatch(object: KubeObject, patch: unknown): KubeObject {
  const [group = '', version] = object.apiVersion.split('/');
  const schema = findKind(version === undefined ? '' : group, object.kind)?.schema;
  // What it is and whose it is does not change.
  const { name, namespace, ownerReferences } = object.metadata;
  const patched = strategicMergePatch(object, patch, schema) as KubeObject;
  return { ...patched, apiVersion: object.apiVersion, kind: object.kind, metadata: { ...patched.metadata, name, ...(namespace !== undefined && { namespace }), ...(ownerReferences && { ownerReferences }) } };
}

/** Labels of everything that is made: those for the infrastructure, else the Gateway's own. */
function labelsOf({ gateway, controllerLabel }: GatewayDeployment): Labels {
  const given = gateway.spec.infrastructure ? gateway.spec.infrastructure.labels : gateway.metadata.labels;
  return { ...given, [GATEWAY_NAME_LABEL]: gateway.metadata.name, [CLASS_LABEL]: gateway.spec.gatewayClassName, [MANAGED_LABEL]: controllerLabel, 'istio.io/dataplane-mode': 'none' };
}

/** Annotations that speak to controllers of the Gateway itself are not handed down. */
const OWN_ANNOTATIONS = ['kubectl.kubernetes.io/last-applied-configuration', 'gateway.istio.io/name-override', 'gateway.istio.io/service-account', 'gateway.istio.io/controller-version'];

function annotationsOf(gateway: KubernetesGateway): Labels {
  const given = gateway.spec.infrastructure ? gateway.spec.infrastructure.annotations : gateway.metadata.annotations;
  return Object.fromEntries(Object.entries(given ?? {}).filter(([key]) => !OWN_ANNOTATIONS.includes(key)));
}

function podTemplate({ gateway, name, serviceAccount, revision }: GatewayDeployment, labels: Labels): object {
  return {
    metadata: {
      labels: {
        'service.istio.io/canonical-name': name, 'service.istio.io/canonical-revision': 'latest', ...labels, 'sidecar.istio.io/inject': 'true',
        ...(revision !== '' && { 'istio.io/rev': revision }),
      },
      annotations: { ...annotationsOf(gateway), 'inject.istio.io/templates': 'gateway', 'prometheus.io/port': '15020', 'prometheus.io/scrape': 'true', 'prometheus.io/path': '/stats/prometheus' },
    },
    spec: {
      // Listeners below 1024 without being root.
      securityContext: { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }] },
      serviceAccountName: serviceAccount,
      // `auto` is replaced by the injector; a pod that keeps it was made while no istiod could inject.
      containers: [{ name: 'istio-proxy', image: 'auto' }],
    },
  };
}

const STATUS_PORT = { name: 'status-port', port: 15021, protocol: 'TCP', appProtocol: 'tcp' };

function serviceSpec({ gateway, serviceType, listeners }: GatewayDeployment, selector: Labels): object {
  const address = gateway.spec.addresses?.[0];
  const isIp = address !== undefined && (address.type ?? 'IPAddress') === 'IPAddress' && (address.value ?? '') !== '';
  return {
    type: gateway.metadata.annotations?.['networking.istio.io/service-type'] ?? serviceType, ipFamilyPolicy: 'PreferDualStack', selector, ports: servicePorts(listeners),
    ...(isIp && { loadBalancerIP: address.value }),
  };
}

/** One port for each number; its name must be new and short enough. */
function servicePorts(listeners: readonly GatewayPort[]): object[] {
  const ports = [STATUS_PORT];
  for (const { name, port, protocol } of listeners) {
    const transport = protocol === 'UDP' ? 'UDP' : 'TCP';
    if (ports.some((other) => other.port === port && other.protocol === transport)) continue;
    const appProtocol = protocol.toLowerCase();
    const wanted = name.replaceAll('.', '-').slice(0, 63).replace(/-+$/, '');
    const unique = ports.some((other) => other.name === wanted) ? `${appProtocol}-${port}` : wanted;
    ports.push({ name: unique, port, protocol: transport, appProtocol });
  }
  return ports;
}
