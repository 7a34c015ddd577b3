/** Workloads that take the proxy's user id, and deployments behind services that contradict each other. */
import type { Issue } from '../../base/issue.ts';
import type { Deployment } from '../../objects/kubernetes/deployment.ts';
import type { Pod, PodTemplate } from '../../objects/kubernetes/pod.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { deploymentInMesh, isControlPlane } from '../in-mesh.ts';
import { fullName, message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';
import { hasLabels } from '../selector.ts';

/** The user the proxy runs as; what it sends is never captured. */
const PROXY_UID = 1337;
const OWN_CONTAINERS = ['istio-proxy', 'istio-operator'];

export function analyzeApplicationUid(set: ObjectSet): readonly Issue[] {
  const pods = set.of<Pod>('Pod').map((pod) => [pod, pod.spec, 'spec'] as const);
  const deployments = set.of<Deployment>('Deployment').map((deployment) => [deployment, deployment.spec.template.spec, 'spec.template.spec'] as const);
  return [...pods, ...deployments].filter(([object]) => !isControlPlane(object)).flatMap(([object, spec, path]) => checkUids(object, spec, path));
}

function checkUids(object: KubeObject, spec: PodTemplate['spec'], path: string): readonly Issue[] {
  const paths = [
    ...(spec?.securityContext?.runAsUser === PROXY_UID ? [`${path}.securityContext.runAsUser`] : []),
    ...(spec?.containers ?? []).flatMap(({ name, securityContext }, index) => (!OWN_CONTAINERS.includes(name) && securityContext?.runAsUser === PROXY_UID ? [`${path}.containers[${index}].securityContext.runAsUser`] : [])),
  ];
  return paths.map((at) => message('IST0144', object, at, [], 'run as another user: traffic of 1337 bypasses the sidecar'));
}

/** Ports of a deployment's services that cannot all hold for the same pods. */
export function analyzeDeploymentServices(set: ObjectSet): readonly Issue[] {
  return set.of<Deployment>('Deployment')
    .filter((deployment) => deployment.metadata.labels?.['gateway.istio.io/managed'] !== 'istio.io-mesh-controller' && deploymentInMesh(set, deployment))
    .flatMap((deployment) => {
      const services = servicesOf(set, deployment);
      return [...conflictingProtocols(deployment, services), ...conflictingTargets(deployment, services)];
    });
}

function servicesOf(set: ObjectSet, deployment: Deployment): readonly Service[] {
  return set.of<Service>('Service').filter(({ metadata, spec }) =>
    Object.keys(spec.selector ?? {}).length > 0 && (metadata.namespace ?? '') === (deployment.metadata.namespace ?? '') && hasLabels(deployment.spec.template.metadata?.labels, spec.selector));
}

function conflictingProtocols(deployment: Deployment, services: readonly Service[]): readonly Issue[] {
  const ports = new Map<number, Map<string, string[]>>();
  for (const service of services)
    for (const { port, protocol } of service.spec.ports ?? []) {
      const protocols = ports.get(port) ?? new Map<string, string[]>();
      ports.set(port, protocols);
      protocols.set(protocol ?? 'TCP', [...(protocols.get(protocol ?? 'TCP') ?? []), fullName(service)]);
    }
  return [...ports].filter(([, protocols]) => protocols.size > 1).map(([port, protocols]) =>
    message('IST0116', deployment, 'metadata.name', [deployment.metadata.name, port, [...protocols.values()].flat().sort()], `let all services use one protocol on port ${port}`));
}

function conflictingTargets(deployment: Deployment, services: readonly Service[]): readonly Issue[] {
  const targets = new Map<string, Map<number, string>>();
  for (const service of services)
    for (const { port, targetPort } of service.spec.ports ?? []) {
      const target = String(targetPort || port);
      const ports = targets.get(target) ?? new Map<number, string>();
      targets.set(target, ports);
      ports.set(port, fullName(service));
    }
  return [...targets].filter(([, ports]) => ports.size > 1).map(([target, ports]) =>
    message('IST0137', deployment, 'metadata.name', [deployment.metadata.name, [...ports.values()].sort(), target, [...ports.keys()].sort((a, b) => a - b).map(String)], `let one service port lead to target port ${target}`));
}
