import type { ObjectMeta, SpecObject } from '../meta.ts';
import { POD } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { anyObject, bool, having, int, int64, list, map, obj, oneOf, quantity, req, str, strDefault, time, type Infer } from '../schema/dsl.ts';
import { container, ephemeralContainer, podSecurityContext, resourceRequirements } from './container.ts';
import { conditions, labelSelector, localObjectReference, objectMeta } from './meta-schema.ts';
import { volume } from './volume.ts';

const selectorTerm = obj(
  {
    matchExpressions: list(obj({ key: req(str()), operator: req(str()), values: list(str(), { atomic: true }) }), { atomic: true }),
    matchFields: list(obj({ key: req(str()), operator: req(str()), values: list(str(), { atomic: true }) }), { atomic: true }),
  },
  { 'x-kubernetes-map-type': 'atomic' },
);
const podAffinityTerm = obj({
  labelSelector,
  namespaces: list(str(), { atomic: true }),
  topologyKey: req(str()),
  namespaceSelector: labelSelector,
  matchLabelKeys: list(str(), { atomic: true }),
  mismatchLabelKeys: list(str(), { atomic: true }),
});
const podAffinity = obj({
  requiredDuringSchedulingIgnoredDuringExecution: list(podAffinityTerm, { atomic: true }),
  preferredDuringSchedulingIgnoredDuringExecution: list(obj({ weight: req(int()), podAffinityTerm: req(podAffinityTerm) }), { atomic: true }),
});
const affinity = obj({
  nodeAffinity: obj({
    requiredDuringSchedulingIgnoredDuringExecution: obj({ nodeSelectorTerms: req(list(selectorTerm, { atomic: true })) }),
    preferredDuringSchedulingIgnoredDuringExecution: list(obj({ weight: req(int()), preference: req(selectorTerm) }), { atomic: true }),
  }),
  podAffinity,
  podAntiAffinity: podAffinity,
});
/** A taint that a pod tolerates. */
export const toleration = obj({ key: str(), operator: str(), value: str(), effect: str(), tolerationSeconds: int64() });
const topologySpreadConstraint = obj({
  maxSkew: req(int()),
  topologyKey: req(str()),
  whenUnsatisfiable: req(str()),
  labelSelector,
  minDomains: int(),
  nodeAffinityPolicy: str(),
  nodeTaintsPolicy: str(),
  matchLabelKeys: list(str(), { atomic: true }),
});

/** PodSpec. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec */
export const podSpec = obj({
  volumes: list(volume, { mapKeys: ['name'], retainKeys: true }, { nullable: true }),
  initContainers: list(container, { mapKeys: ['name'] }),
  containers: req(list(container, { mapKeys: ['name'] })),
  ephemeralContainers: list(ephemeralContainer, { mapKeys: ['name'] }),
  restartPolicy: having(oneOf('Always', 'OnFailure', 'Never'), { default: 'Always' }),
  terminationGracePeriodSeconds: int64({ default: 30 }),
  activeDeadlineSeconds: int64(),
  dnsPolicy: having(oneOf('ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'), { default: 'ClusterFirst' }),
  nodeSelector: map(str(), { 'x-kubernetes-map-type': 'atomic' }),
  serviceAccountName: str(),
  /** Deprecated spelling of serviceAccountName. */
  serviceAccount: str(),
  automountServiceAccountToken: bool(),
  nodeName: str(),
  hostNetwork: bool(),
  hostPID: bool(),
  hostIPC: bool(),
  hostUsers: bool(),
  shareProcessNamespace: bool(),
  securityContext: having(podSecurityContext, { default: {} }),
  imagePullSecrets: list(localObjectReference, { mapKeys: ['name'] }),
  hostname: str(),
  subdomain: str(),
  setHostnameAsFQDN: bool(),
  hostnameOverride: str(),
  affinity,
  schedulerName: strDefault('default-scheduler'),
  tolerations: list(toleration, { atomic: true }),
  hostAliases: list(obj({ ip: req(str()), hostnames: list(str(), { atomic: true }) }), { mapKeys: ['ip'] }),
  priorityClassName: str(),
  priority: int(),
  preemptionPolicy: str(),
  dnsConfig: obj({
    nameservers: list(str(), { atomic: true }),
    searches: list(str(), { atomic: true }),
    options: list(obj({ name: str(), value: str() }), { atomic: true }),
  }),
  readinessGates: list(obj({ conditionType: req(str()) }), { atomic: true }),
  runtimeClassName: str(),
  enableServiceLinks: bool({ default: true }),
  overhead: map(quantity()),
  topologySpreadConstraints: list(topologySpreadConstraint, { mapKeys: ['topologyKey', 'whenUnsatisfiable'] }),
  os: obj({ name: req(str()) }),
  schedulingGates: list(obj({ name: req(str()) }), { mapKeys: ['name'] }),
  resourceClaims: list(obj({ name: req(str()), resourceClaimName: str(), resourceClaimTemplateName: str() }), { mapKeys: ['name'], retainKeys: true }),
  resources: resourceRequirements,
});
/** PodSpec. */
export type PodSpec = Infer<typeof podSpec>;

const containerState = obj({
  waiting: obj({ reason: str(), message: str() }),
  running: obj({ startedAt: time() }),
  terminated: obj({ exitCode: req(int()), signal: int(), reason: str(), message: str(), startedAt: time(), finishedAt: time(), containerID: str() }),
});
/** What a container is doing: exactly one of waiting, running, terminated. */
export type ContainerState = Infer<typeof containerState>;

const containerStatus = obj({
  name: req(str()),
  state: containerState,
  lastState: containerState,
  ready: req(bool()),
  restartCount: req(int()),
  image: req(str()),
  imageID: req(str()),
  containerID: str(),
  started: bool(),
  allocatedResources: map(quantity()),
  resources: resourceRequirements,
  volumeMounts: list(anyObject(), { mapKeys: ['mountPath'] }),
  user: anyObject(),
  allocatedResourcesStatus: list(anyObject(), { mapKeys: ['name'] }),
  stopSignal: str(),
});
/** What the kubelet says about one container. */
export type ContainerStatus = Infer<typeof containerStatus>;

const podStatus = obj({
  observedGeneration: int64(),
  phase: oneOf('Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'),
  conditions,
  message: str(),
  reason: str(),
  nominatedNodeName: str(),
  hostIP: str(),
  hostIPs: list(obj({ ip: req(str()) }), { atomic: true }),
  podIP: str(),
  podIPs: list(obj({ ip: req(str()) }), { mapKeys: ['ip'] }),
  startTime: time(),
  initContainerStatuses: list(containerStatus, { atomic: true }),
  containerStatuses: list(containerStatus, { atomic: true }),
  ephemeralContainerStatuses: list(containerStatus, { atomic: true }),
  qosClass: str(),
  resize: str(),
  resourceClaimStatuses: list(anyObject(), { mapKeys: ['name'] }),
});
/** PodStatus. */
export type PodStatus = Infer<typeof podStatus>;

/** A pod. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ */
export type Pod = SpecObject<PodSpec, PodStatus>;

/** What a workload makes pods from. */
export const podTemplate = obj({ metadata: objectMeta, spec: podSpec });
/** What a workload makes pods from. */
export interface PodTemplate {
  readonly metadata?: Partial<ObjectMeta>;
  readonly spec?: PodSpec;
}

export const POD_KIND = defineKind(POD, { shortNames: ['po'], categories: ['all'], status: true, fields: { spec: podSpec, status: podStatus } });
