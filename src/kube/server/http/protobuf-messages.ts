/** The protobuf messages that kubectl sends, field by number. Facts from the `generated.proto` files of k8s.io/api. */

/** `int!` and `bool!` keep zero: there absent means something else. */
export type FieldType = 'string' | 'int' | 'int!' | 'bool' | 'bool!' | 'bytes' | 'time' | 'intOrString' | 'map' | 'bytesMap' | 'textsMap' | 'quantity' | 'quantityMap' | 'json' | Message;
export type Field = readonly [name: string, type: FieldType, repeated?: 'list'];
export interface Message {
  readonly [field: number]: Field;
}

const META: Message = {
  1: ['name', 'string'], 2: ['generateName', 'string'], 3: ['namespace', 'string'], 5: ['uid', 'string'], 6: ['resourceVersion', 'string'], 7: ['generation', 'int'],
  8: ['creationTimestamp', 'time'], 11: ['labels', 'map'], 12: ['annotations', 'map'],
  13: ['ownerReferences', { 1: ['kind', 'string'], 3: ['name', 'string'], 4: ['uid', 'string'], 5: ['apiVersion', 'string'], 6: ['controller', 'bool!'], 7: ['blockOwnerDeletion', 'bool!'] }, 'list'], 14: ['finalizers', 'string', 'list'],
  4: ['selfLink', 'string'], 9: ['deletionTimestamp', 'time'], 10: ['deletionGracePeriodSeconds', 'int!'],
  17: ['managedFields', { 1: ['manager', 'string'], 2: ['operation', 'string'], 3: ['apiVersion', 'string'], 4: ['time', 'time'], 6: ['fieldsType', 'string'], 7: ['fieldsV1', { 1: ['', 'json'] }], 8: ['subresource', 'string'] }, 'list'],
};
const SELECTOR: Message = { 1: ['matchLabels', 'map'], 2: ['matchExpressions', { 1: ['key', 'string'], 2: ['operator', 'string'], 3: ['values', 'string', 'list'] }, 'list'] };
const CONTAINER: Message = {
  1: ['name', 'string'], 2: ['image', 'string'], 3: ['command', 'string', 'list'], 4: ['args', 'string', 'list'], 5: ['workingDir', 'string'],
  6: ['ports', { 1: ['name', 'string'], 2: ['hostPort', 'int'], 3: ['containerPort', 'int'], 4: ['protocol', 'string'], 5: ['hostIP', 'string'] }, 'list'],
  7: ['env', { 1: ['name', 'string'], 2: ['value', 'string'] }, 'list'], 8: ['resources', { 1: ['limits', 'quantityMap'], 2: ['requests', 'quantityMap'] }],
  9: ['volumeMounts', { 1: ['name', 'string'], 2: ['readOnly', 'bool'], 3: ['mountPath', 'string'], 4: ['subPath', 'string'] }, 'list'],
  13: ['terminationMessagePath', 'string'], 14: ['imagePullPolicy', 'string'], 15: ['securityContext', { 2: ['privileged', 'bool!'] }], 16: ['stdin', 'bool'], 17: ['stdinOnce', 'bool'], 18: ['tty', 'bool'], 20: ['terminationMessagePolicy', 'string'],
};
const POD_TEMPLATE: Message = {
  1: ['metadata', META],
  2: ['spec', {
    1: ['volumes', { 1: ['name', 'string'], 2: ['', { 1: ['hostPath', { 1: ['path', 'string'], 2: ['type', 'string'] }] }] }, 'list'],
    2: ['containers', CONTAINER, 'list'], 3: ['restartPolicy', 'string'], 4: ['terminationGracePeriodSeconds', 'int!'], 5: ['activeDeadlineSeconds', 'int!'], 6: ['dnsPolicy', 'string'], 7: ['nodeSelector', 'map'],
    8: ['serviceAccountName', 'string'], 9: ['serviceAccount', 'string'], 10: ['nodeName', 'string'], 11: ['hostNetwork', 'bool'], 12: ['hostPID', 'bool'], 13: ['hostIPC', 'bool'], 14: ['securityContext', {}], 19: ['schedulerName', 'string'], 20: ['initContainers', CONTAINER, 'list'],
    22: ['tolerations', { 1: ['key', 'string'], 2: ['operator', 'string'], 3: ['value', 'string'], 4: ['effect', 'string'], 5: ['tolerationSeconds', 'int!'] }, 'list'], 30: ['enableServiceLinks', 'bool!'],
  }],
};
const BACKEND: Message = {
  3: ['resource', { 1: ['apiGroup', 'string'], 2: ['kind', 'string'], 3: ['name', 'string'] }],
  4: ['service', { 1: ['name', 'string'], 2: ['port', { 1: ['name', 'string'], 2: ['number', 'int'] }] }],
};

const texts = (name: string): Field => [name, 'string', 'list'];
const RULES: Field = ['rules', { 1: texts('verbs'), 2: texts('apiGroups'), 3: texts('resources'), 4: texts('resourceNames'), 5: texts('nonResourceURLs') }, 'list'];
const BINDING: Message = {
  1: ['metadata', META], 2: ['subjects', { 1: ['kind', 'string'], 2: ['apiGroup', 'string'], 3: ['name', 'string'], 4: ['namespace', 'string'] }, 'list'],
  3: ['roleRef', { 1: ['apiGroup', 'string'], 2: ['kind', 'string'], 3: ['name', 'string'] }],
};
const JOB_SPEC: Message = {
  1: ['parallelism', 'int!'], 2: ['completions', 'int!'], 3: ['activeDeadlineSeconds', 'int!'], 4: ['selector', SELECTOR], 5: ['manualSelector', 'bool!'], 6: ['template', POD_TEMPLATE], 7: ['backoffLimit', 'int!'],
  8: ['ttlSecondsAfterFinished', 'int!'], 9: ['completionMode', 'string'], 10: ['suspend', 'bool!'], 14: ['podReplacementPolicy', 'string'],
};
const SCALE_TARGET: Message = { 1: ['kind', 'string'], 2: ['name', 'string'], 3: ['apiVersion', 'string'] };
const METRIC_TARGET: Message = { 1: ['type', 'string'], 2: ['value', 'quantity'], 3: ['averageValue', 'quantity'], 4: ['averageUtilization', 'int!'] };
const DELETE_OPTIONS: Message = {
  1: ['gracePeriodSeconds', 'int!'], 2: ['preconditions', { 1: ['uid', 'string'], 2: ['resourceVersion', 'string'] }], 3: ['orphanDependents', 'bool!'], 4: ['propagationPolicy', 'string'], 5: texts('dryRun'),
};

export const MESSAGES: Readonly<Record<string, Message>> = {
  'certificates.k8s.io/v1/CertificateSigningRequest': {
    1: ['metadata', META],
    2: ['spec', {
      1: ['request', 'bytes'], 2: ['username', 'string'], 3: ['uid', 'string'], 4: texts('groups'), 5: texts('usages'), 6: ['extra', 'textsMap'], 7: ['signerName', 'string'], 8: ['expirationSeconds', 'int!'],
    }],
    3: ['status', {
      1: ['conditions', { 1: ['type', 'string'], 2: ['reason', 'string'], 3: ['message', 'string'], 4: ['lastUpdateTime', 'time'], 5: ['lastTransitionTime', 'time'], 6: ['status', 'string'] }, 'list'],
      2: ['certificate', 'bytes'],
    }],
  },
  'v1/Namespace': { 1: ['metadata', META], 2: ['spec', { 1: ['finalizers', 'string', 'list'] }] },
  'v1/ConfigMap': { 1: ['metadata', META], 2: ['data', 'map'], 3: ['binaryData', 'bytesMap'], 4: ['immutable', 'bool!'] },
  'v1/Secret': { 1: ['metadata', META], 2: ['data', 'bytesMap'], 3: ['type', 'string'], 4: ['stringData', 'map'], 5: ['immutable', 'bool!'] },
  'v1/Pod': POD_TEMPLATE,
  'v1/ServiceAccount': { 1: ['metadata', META], 3: ['imagePullSecrets', { 1: ['name', 'string'] }, 'list'], 4: ['automountServiceAccountToken', 'bool!'] },
  'v1/Service': {
    1: ['metadata', META],
    2: ['spec', {
      1: ['ports', { 1: ['name', 'string'], 2: ['protocol', 'string'], 3: ['port', 'int'], 4: ['targetPort', 'intOrString'], 5: ['nodePort', 'int'], 6: ['appProtocol', 'string'] }, 'list'],
      2: ['selector', 'map'], 3: ['clusterIP', 'string'], 4: ['type', 'string'], 5: ['externalIPs', 'string', 'list'], 7: ['sessionAffinity', 'string'], 8: ['loadBalancerIP', 'string'], 10: ['externalName', 'string'],
    }],
  },
  'apps/v1/Deployment': {
    1: ['metadata', META],
    2: ['spec', { 1: ['replicas', 'int!'], 2: ['selector', SELECTOR], 3: ['template', POD_TEMPLATE], 4: ['strategy', { 1: ['type', 'string'] }], 5: ['minReadySeconds', 'int'], 7: ['paused', 'bool'] }],
  },
  'networking.k8s.io/v1/Ingress': {
    1: ['metadata', META],
    2: ['spec', {
      1: ['defaultBackend', BACKEND], 2: ['tls', { 1: ['hosts', 'string', 'list'], 2: ['secretName', 'string'] }, 'list'],
      3: ['rules', { 1: ['host', 'string'], 2: ['', { 1: ['http', { 1: ['paths', { 1: ['path', 'string'], 2: ['backend', BACKEND], 3: ['pathType', 'string'] }, 'list'] }] }] }, 'list'],
      4: ['ingressClassName', 'string'],
    }],
  },
  'authentication.k8s.io/v1/TokenRequest': {
    1: ['metadata', META],
    2: ['spec', { 1: ['audiences', 'string', 'list'], 3: ['boundObjectRef', { 1: ['kind', 'string'], 2: ['apiVersion', 'string'], 3: ['name', 'string'], 4: ['uid', 'string'] }], 4: ['expirationSeconds', 'int!'] }],
  },
  'authentication.k8s.io/v1/TokenReview': { 1: ['metadata', META], 2: ['spec', { 1: ['token', 'string'], 2: ['audiences', 'string', 'list'] }] },
  'authorization.k8s.io/v1/SelfSubjectAccessReview': {
    1: ['metadata', META],
    2: ['spec', {
      1: ['resourceAttributes', { 1: ['namespace', 'string'], 2: ['verb', 'string'], 3: ['group', 'string'], 4: ['version', 'string'], 5: ['resource', 'string'], 6: ['subresource', 'string'], 7: ['name', 'string'] }],
      2: ['nonResourceAttributes', { 1: ['path', 'string'], 2: ['verb', 'string'] }],
    }],
  },
  'authentication.k8s.io/v1/SelfSubjectReview': { 1: ['metadata', META] },
  'authorization.k8s.io/v1/SelfSubjectRulesReview': { 1: ['metadata', META], 2: ['spec', { 1: ['namespace', 'string'] }] },
  'rbac.authorization.k8s.io/v1/Role': { 1: ['metadata', META], 2: RULES },
  'rbac.authorization.k8s.io/v1/ClusterRole': { 1: ['metadata', META], 2: RULES, 3: ['aggregationRule', { 1: ['clusterRoleSelectors', SELECTOR, 'list'] }] },
  'rbac.authorization.k8s.io/v1/RoleBinding': BINDING,
  'rbac.authorization.k8s.io/v1/ClusterRoleBinding': BINDING,
  'batch/v1/Job': { 1: ['metadata', META], 2: ['spec', JOB_SPEC] },
  'batch/v1/CronJob': {
    1: ['metadata', META],
    2: ['spec', {
      1: ['schedule', 'string'], 2: ['startingDeadlineSeconds', 'int!'], 3: ['concurrencyPolicy', 'string'], 4: ['suspend', 'bool!'], 5: ['jobTemplate', { 1: ['metadata', META], 2: ['spec', JOB_SPEC] }],
      6: ['successfulJobsHistoryLimit', 'int!'], 7: ['failedJobsHistoryLimit', 'int!'], 8: ['timeZone', 'string'],
    }],
  },
  'policy/v1/PodDisruptionBudget': { 1: ['metadata', META], 2: ['spec', { 1: ['minAvailable', 'intOrString'], 2: ['selector', SELECTOR], 3: ['maxUnavailable', 'intOrString'] }] },
  'policy/v1/Eviction': { 1: ['metadata', META], 2: ['deleteOptions', DELETE_OPTIONS] },
  'scheduling.k8s.io/v1/PriorityClass': { 1: ['metadata', META], 2: ['value', 'int!'], 3: ['globalDefault', 'bool'], 4: ['description', 'string'], 5: ['preemptionPolicy', 'string'] },
  'v1/ResourceQuota': { 1: ['metadata', META], 2: ['spec', { 1: ['hard', 'quantityMap'], 2: texts('scopes') }] },
  'autoscaling/v1/HorizontalPodAutoscaler': { 1: ['metadata', META], 2: ['spec', { 1: ['scaleTargetRef', SCALE_TARGET], 2: ['minReplicas', 'int!'], 3: ['maxReplicas', 'int'], 4: ['targetCPUUtilizationPercentage', 'int!'] }] },
  'autoscaling/v2/HorizontalPodAutoscaler': {
    1: ['metadata', META],
    2: ['spec', { 1: ['scaleTargetRef', SCALE_TARGET], 2: ['minReplicas', 'int!'], 3: ['maxReplicas', 'int'], 4: ['metrics', { 1: ['type', 'string'], 4: ['resource', { 1: ['name', 'string'], 2: ['target', METRIC_TARGET] }] }, 'list'] }],
  },
  'v1/DeleteOptions': DELETE_OPTIONS,
};
