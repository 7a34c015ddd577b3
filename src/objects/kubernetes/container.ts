/** A container of a pod, with probes, environment and security context. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container */
import { anyObject, bool, having, int, int64, intOrString, list, map, obj, oneOf, oneOfDefault, quantity, req, str, strDefault, type Infer } from '../schema/dsl.ts';

/** Picks a field of the pod. */
export const objectFieldSelector = obj({ apiVersion: strDefault('v1'), fieldPath: req(str()) }, { 'x-kubernetes-map-type': 'atomic' });
/** Picks a resource limit or request of a container. */
export const resourceFieldSelector = obj({ containerName: str(), resource: req(str()), divisor: quantity() }, { 'x-kubernetes-map-type': 'atomic' });
const keySelector = obj({ name: strDefault(''), key: req(str()), optional: bool() }, { 'x-kubernetes-map-type': 'atomic' });

const envVar = obj({
  name: req(str()),
  value: str(),
  valueFrom: obj({ fieldRef: objectFieldSelector, resourceFieldRef: resourceFieldSelector, configMapKeyRef: keySelector, secretKeyRef: keySelector, fileKeyRef: anyObject() }),
});
/** One environment variable. */
export type EnvVar = Infer<typeof envVar>;

const envFrom = obj({ prefix: str(), configMapRef: obj({ name: strDefault(''), optional: bool() }), secretRef: obj({ name: strDefault(''), optional: bool() }) });

const httpGetAction = obj({
  path: strDefault('/'),
  port: req(intOrString()),
  host: str(),
  scheme: oneOfDefault('HTTP', 'HTTPS'),
  httpHeaders: list(obj({ name: req(str()), value: req(str()) }), { atomic: true }),
});
const execAction = obj({ command: list(str(), { atomic: true }) });
const tcpSocketAction = obj({ port: req(intOrString()), host: str() });
const grpcAction = obj({ port: req(int()), service: strDefault('') });

const probe = obj({
  exec: execAction,
  httpGet: httpGetAction,
  tcpSocket: tcpSocketAction,
  grpc: grpcAction,
  /** Seconds before the first probe. */
  initialDelaySeconds: int(),
  timeoutSeconds: int({ default: 1 }),
  periodSeconds: int({ default: 10 }),
  successThreshold: int({ default: 1 }),
  failureThreshold: int({ default: 3 }),
  terminationGracePeriodSeconds: int64(),
});
/** A health check of a container. */
export type Probe = Infer<typeof probe>;
export type HTTPGetAction = Infer<typeof httpGetAction>;

const lifecycleHandler = obj({ exec: execAction, httpGet: httpGetAction, tcpSocket: tcpSocketAction, sleep: obj({ seconds: req(int64()) }) });
const lifecycle = obj({ postStart: lifecycleHandler, preStop: lifecycleHandler, stopSignal: str() });
export type Lifecycle = Infer<typeof lifecycle>;
export type LifecycleHandler = Infer<typeof lifecycleHandler>;

const containerPort = obj({ name: str(), containerPort: req(int()), protocol: having(oneOf('TCP', 'UDP', 'SCTP'), { default: 'TCP' }), hostPort: int(), hostIP: str() });
/** A port that a container listens on. */
export type ContainerPort = Infer<typeof containerPort>;

const seLinuxOptions = obj({ user: str(), role: str(), type: str(), level: str() });
const seccompProfile = obj({ type: req(str()), localhostProfile: str() });
const appArmorProfile = obj({ type: req(str()), localhostProfile: str() });
const windowsOptions = obj({ gmsaCredentialSpecName: str(), gmsaCredentialSpec: str(), runAsUserName: str(), hostProcess: bool() });

const securityContext = obj({
  capabilities: obj({ add: list(str(), { atomic: true }), drop: list(str(), { atomic: true }) }),
  privileged: bool(),
  seLinuxOptions,
  windowsOptions,
  runAsUser: int64(),
  runAsGroup: int64(),
  runAsNonRoot: bool(),
  readOnlyRootFilesystem: bool(),
  allowPrivilegeEscalation: bool(),
  procMount: str(),
  seccompProfile,
  appArmorProfile,
});
/** Rights of one container. */
export type SecurityContext = Infer<typeof securityContext>;

/** Rights of all containers of a pod. */
export const podSecurityContext = obj({
  seLinuxOptions,
  windowsOptions,
  runAsUser: int64(),
  runAsGroup: int64(),
  runAsNonRoot: bool(),
  supplementalGroups: list(int64(), { atomic: true }),
  supplementalGroupsPolicy: str(),
  fsGroup: int64(),
  fsGroupChangePolicy: str(),
  sysctls: list(obj({ name: req(str()), value: req(str()) }), { atomic: true }),
  seccompProfile,
  appArmorProfile,
  seLinuxChangePolicy: str(),
});
/** Rights of all containers of a pod. */
export type PodSecurityContext = Infer<typeof podSecurityContext>;

/** Requests and limits. */
export const resourceRequirements = obj({
  limits: map(quantity()),
  requests: map(quantity()),
  claims: list(obj({ name: req(str()), request: str() }), { mapKeys: ['name'] }),
});
/** Requests and limits. */
export type ResourceRequirements = Infer<typeof resourceRequirements>;

const volumeMount = obj({
  name: req(str()),
  mountPath: req(str()),
  readOnly: bool(),
  recursiveReadOnly: str(),
  subPath: str(),
  subPathExpr: str(),
  mountPropagation: str(),
});
/** A place where a volume of the pod appears in a container. */
export type VolumeMount = Infer<typeof volumeMount>;

const containerFields = {
  name: req(str()),
  image: str(),
  command: list(str(), { atomic: true }),
  args: list(str(), { atomic: true }),
  workingDir: str(),
  ports: list(containerPort, { mapKeys: ['containerPort', 'protocol'] }),
  envFrom: list(envFrom, { atomic: true }),
  env: list(envVar, { mapKeys: ['name'] }),
  resources: resourceRequirements,
  resizePolicy: list(obj({ resourceName: req(str()), restartPolicy: req(str()) }), { atomic: true }),
  /** `Always` on an init container makes it a native sidecar. */
  restartPolicy: str(),
  restartPolicyRules: list(anyObject(), { atomic: true }),
  volumeMounts: list(volumeMount, { mapKeys: ['mountPath'] }),
  volumeDevices: list(obj({ name: req(str()), devicePath: req(str()) }), { mapKeys: ['devicePath'] }),
  livenessProbe: probe,
  readinessProbe: probe,
  startupProbe: probe,
  lifecycle,
  terminationMessagePath: strDefault('/dev/termination-log'),
  terminationMessagePolicy: strDefault('File'),
  /** Default: `Always` for the tag `latest` or no tag, else `IfNotPresent`. */
  imagePullPolicy: str(),
  securityContext,
  stdin: bool(),
  stdinOnce: bool(),
  tty: bool(),
};

/** A container or init container. */
export const container = obj(containerFields);
/** A container or init container. */
export type Container = Infer<typeof container>;

/** A container added to a running pod. */
export const ephemeralContainer = obj({ ...containerFields, targetContainerName: str() });
export type EphemeralContainer = Infer<typeof ephemeralContainer>;
