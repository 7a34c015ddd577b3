/** What `kubectl explain` says of built-in kinds and their fields, in our own words. By kind, by place, and for fields that mean the same everywhere by name. */
import type { Schema } from '../../../objects/schema/schema.ts';

const KINDS: Readonly<Record<string, string>> = {
  '/Namespace': 'Namespace gives names a scope: objects of one namespace do not clash with those of another.',
  '/Node': 'Node is a machine that runs pods.',
  '/Pod': 'Pod is a group of containers that run together on one node and share a network address.',
  '/Service': 'Service gives a set of pods one name and one address.',
  '/Endpoints': 'Endpoints are the addresses behind a service, all in one object. EndpointSlices replace it.',
  '/ServiceAccount': 'ServiceAccount is who the processes of a pod are towards the API server.',
  '/Secret': 'Secret holds data that not everybody may see.',
  '/ConfigMap': 'ConfigMap holds configuration that pods read.',
  '/Event': 'Event reports something that happened to an object. Events are kept for a while only.',
  '/PersistentVolume': 'PersistentVolume is a piece of storage of the cluster.',
  '/PersistentVolumeClaim': 'PersistentVolumeClaim is a wish for storage.',
  '/LimitRange': 'LimitRange bounds what single objects of a namespace may ask for.',
  '/ResourceQuota': 'ResourceQuota bounds what all objects of a namespace may use together.',
  '/ReplicationController': 'ReplicationController keeps a number of equal pods running. ReplicaSets replace it.',
  'apps/Deployment': 'Deployment keeps a number of equal pods running and rolls changes of their template out.',
  'apps/ReplicaSet': 'ReplicaSet keeps a number of equal pods running. Deployments make them.',
  'apps/StatefulSet': 'StatefulSet keeps pods with stable names and volumes running.',
  'apps/DaemonSet': 'DaemonSet runs a pod on every node that fits.',
  'apps/ControllerRevision': 'ControllerRevision keeps a template that a StatefulSet or DaemonSet had.',
  'batch/Job': 'Job runs pods until enough of them have succeeded.',
  'batch/CronJob': 'CronJob makes jobs by the clock.',
  'policy/PodDisruptionBudget': 'PodDisruptionBudget says how many pods evictions must leave.',
  'autoscaling/HorizontalPodAutoscaler': 'HorizontalPodAutoscaler scales a workload by its load.',
  'networking.k8s.io/Ingress': 'Ingress lets HTTP requests in from outside, by host and path.',
  'extensions/Ingress': 'Ingress lets HTTP requests in from outside, by host and path; use networking.k8s.io/v1.',
  'networking.k8s.io/IngressClass': 'IngressClass names who serves an ingress.',
  'networking.k8s.io/NetworkPolicy': 'NetworkPolicy says which connections pods may have.',
  'discovery.k8s.io/EndpointSlice': 'EndpointSlice is a part of the addresses behind a service.',
  'storage.k8s.io/StorageClass': 'StorageClass says how claims get their volumes.',
  'scheduling.k8s.io/PriorityClass': 'PriorityClass says how important pods are.',
  'coordination.k8s.io/Lease': 'Lease is a lock or a heartbeat.',
  'certificates.k8s.io/CertificateSigningRequest': 'CertificateSigningRequest is a wish for a certificate.',
  'rbac.authorization.k8s.io/Role': 'Role is a set of rules of what is allowed in its namespace.',
  'rbac.authorization.k8s.io/ClusterRole': 'ClusterRole is a set of rules of what is allowed in the whole cluster, or where it is bound.',
  'rbac.authorization.k8s.io/RoleBinding': 'RoleBinding gives a role to users, groups or service accounts, in its namespace.',
  'rbac.authorization.k8s.io/ClusterRoleBinding': 'ClusterRoleBinding gives a role to users, groups or service accounts, everywhere.',
  'apiextensions.k8s.io/CustomResourceDefinition': 'CustomResourceDefinition adds a kind to the API.',
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': 'MutatingWebhookConfiguration names who may change objects before they are stored.',
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': 'ValidatingWebhookConfiguration names who may refuse objects before they are stored.',
};

/** Fields whose name means something of its own in one place, by kind and path. */
const PLACES: Readonly<Record<string, string>> = {
  'ConfigMap.data': 'data are the texts, by key. Keys are letters, digits, -, _ and dots.',
  'ConfigMap.binaryData': 'binaryData are the values that are no text, in base64.',
  'Secret.data': 'data are the values in base64, by key.',
  'Secret.stringData': 'stringData are values as plain text; they are stored in data.',
  'Secret.type': 'type says what the keys mean. It never changes.',
  'Service.spec.type': 'type says from where the service can be reached: ClusterIP, NodePort, LoadBalancer, or ExternalName for an alias.',
  'Service.spec.ports': 'ports are what the service listens on.',
  'Service.spec.selector': 'selector chooses the pods behind the service. Without one, endpoints are written by hand.',
  'Deployment.spec.strategy': 'strategy says how old pods are replaced by new ones.',
  'Deployment.spec.paused': 'paused stops rollouts until it is taken away.',
  'CronJob.spec.schedule': 'schedule says when: minute, hour, day of month, month, day of week.',
  'Pod.status': 'status is what the node says of the pod. Only the kubelet writes it.',
};

const FIELDS: Readonly<Record<string, string>> = {
  apiVersion: 'apiVersion is the group and version of the API this object is written for.',
  kind: 'kind is the kind of the object.',
  metadata: 'metadata is what all objects have: name, labels, owner, versions.',
  spec: 'spec is what is wanted.',
  status: 'status is what is. The server and controllers write it.',
  name: 'name is unique among its kind (and its namespace, where there is one).',
  namespace: 'namespace is the scope of the name.',
  generateName: 'generateName starts a name that the server completes.',
  uid: 'uid is unique in time and space; the server makes it.',
  resourceVersion: 'resourceVersion changes with every change of the object. Sent back, it refuses writes over changes of others.',
  generation: 'generation counts the changes of the spec.',
  creationTimestamp: 'creationTimestamp is when the object was created.',
  deletionTimestamp: 'deletionTimestamp is when the object will be gone, once its deletion has been asked for.',
  deletionGracePeriodSeconds: 'deletionGracePeriodSeconds is how long the object may take to end.',
  labels: 'labels are names and values that selectors choose by.',
  annotations: 'annotations are names and values that nobody selects by.',
  ownerReferences: 'ownerReferences are the objects this one belongs to. When all are gone, it goes.',
  finalizers: 'finalizers must be empty before the object is removed.',
  managedFields: 'managedFields say who wrote which fields.',
  replicas: 'replicas is the number of pods that are wanted.',
  selector: 'selector chooses pods by their labels.',
  matchLabels: 'matchLabels are labels that must all be there.',
  matchExpressions: 'matchExpressions are conditions on labels that must all hold.',
  template: 'template is what pods are made from.',
  minReadySeconds: 'minReadySeconds is how long a new pod must be ready before it counts as available.',
  revisionHistoryLimit: 'revisionHistoryLimit is how many old revisions are kept for an undo.',
  progressDeadlineSeconds: 'progressDeadlineSeconds is how long a rollout may make no progress.',
  containers: 'containers are the programs of the pod. There is at least one.',
  initContainers: 'initContainers run one after the other before the containers start; those that restart always run beside them.',
  volumes: 'volumes are folders that containers can mount.',
  volumeMounts: 'volumeMounts say where a container sees volumes.',
  image: 'image is what the container runs.',
  imagePullPolicy: 'imagePullPolicy says when the image is fetched: Always, IfNotPresent or Never.',
  command: 'command replaces the program of the image.',
  args: 'args replace the arguments of the image.',
  workingDir: 'workingDir is the folder the program starts in.',
  env: 'env are environment variables.',
  envFrom: 'envFrom takes environment variables from ConfigMaps and Secrets.',
  value: 'value is the value; $(NAME) in it refers to variables before it.',
  ports: 'ports are the ports in use.',
  containerPort: 'containerPort is the port the container listens on.',
  protocol: 'protocol is TCP, UDP or SCTP.',
  port: 'port is the port number.',
  targetPort: 'targetPort is the port, or the name of the port, of the pods.',
  nodePort: 'nodePort is the port on every node.',
  clusterIP: 'clusterIP is the address of the service; None for a service without one.',
  resources: 'resources are what is asked for and what may be used at most.',
  limits: 'limits are what may be used at most.',
  requests: 'requests are what is asked for.',
  livenessProbe: 'livenessProbe restarts the container when it fails.',
  readinessProbe: 'readinessProbe takes the pod out of its services while it fails.',
  startupProbe: 'startupProbe holds the other probes back until it has succeeded once.',
  lifecycle: 'lifecycle are hooks that run after the start and before the end.',
  securityContext: 'securityContext says who the processes run as and what they may do.',
  restartPolicy: 'restartPolicy says when containers that have ended are started again: Always, OnFailure or Never.',
  terminationGracePeriodSeconds: 'terminationGracePeriodSeconds is how long the pod has to end by itself.',
  serviceAccountName: 'serviceAccountName is who the pod is towards the API server.',
  nodeName: 'nodeName is the node the pod runs on.',
  nodeSelector: 'nodeSelector are labels the node must have.',
  affinity: 'affinity says which nodes and pods to be near to or away from.',
  tolerations: 'tolerations are taints of nodes that the pod puts up with.',
  hostNetwork: "hostNetwork uses the node's network instead of an own one.",
  conditions: 'conditions say how things stand, one type each.',
  observedGeneration: 'observedGeneration is the generation of the spec that this status is about.',
  rules: 'rules are what is allowed, or what applies.',
  subjects: 'subjects are who gets the role.',
  roleRef: 'roleRef is the role. It never changes.',
  verbs: 'verbs are what may be done; * is everything.',
  schedule: 'schedule says when.',
  immutable: 'immutable keeps the data from being changed.',
  items: 'items are the objects of the list.',
};

/** A copy of a built-in kind's schema with descriptions. Those that are there stay. */
export function describeSchema(group: string, kind: string, schema: Schema): Schema {
  const key = `${group}/${kind}`;
  const description = Object.hasOwn(KINDS, key) ? KINDS[key] : undefined;
  return { ...describe(schema, kind), ...(description ? { description } : {}) };
}

function describe(schema: Schema, path: string): Schema {
  const { properties, items, additionalProperties } = schema;
  return {
    ...schema,
    ...(properties ? { properties: Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, withText(describe(property, `${path}.${name}`), `${path}.${name}`, name)])) } : {}),
    ...(items ? { items: describe(items, path) } : {}),
    ...(typeof additionalProperties === 'object' ? { additionalProperties: describe(additionalProperties, path) } : {}),
  };
}

function withText(schema: Schema, path: string, name: string): Schema {
  if (schema.description !== undefined) return schema;
  const text = Object.hasOwn(PLACES, path) ? PLACES[path] : Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
  return text === undefined ? schema : { ...schema, description: text };
}
