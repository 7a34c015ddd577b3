import type { Resource } from '../api/resources.ts';
import { DAEMON_SET_STRATEGY, DEPLOYMENT_STRATEGY, REPLICA_SET_STRATEGY, STATEFUL_SET_STRATEGY } from './kinds/workloads.ts';
import { CRON_JOB_STRATEGY, JOB_STRATEGY } from './kinds/batch.ts';
import { SIGNING_REQUEST_STRATEGY } from './kinds/certificate-signing-request.ts';
import { BUDGET_STRATEGY, CLAIM_STRATEGY, NETWORK_POLICY_STRATEGY, STORAGE_CLASS_STRATEGY, VOLUME_STRATEGY } from './kinds/stored.ts';
import { CRD_STRATEGY } from './kinds/custom-resource-definition.ts';
import { POD_STRATEGY } from './kinds/pod.ts';
import { SERVICE_STRATEGY } from './kinds/service.ts';
import { CONFIG_MAP_STRATEGY, EVENT_STRATEGY, NAMESPACE_STRATEGY, NODE_STRATEGY, SECRET_STRATEGY } from './kinds/simple.ts';
import { CLUSTER_ROLE_BINDING_STRATEGY, CLUSTER_ROLE_STRATEGY, ROLE_BINDING_STRATEGY, ROLE_STRATEGY } from './kinds/rbac.ts';
import { INGRESS_STRATEGY } from './kinds/ingress.ts';
import { WEBHOOK_STRATEGY } from './kinds/webhook-configuration.ts';
import type { Strategy } from './strategy.ts';

const STRATEGIES: Readonly<Record<string, Strategy>> = {
  '/Namespace': NAMESPACE_STRATEGY,
  '/Node': NODE_STRATEGY,
  '/Pod': POD_STRATEGY,
  '/Service': SERVICE_STRATEGY,
  '/Endpoints': { names: 'subdomain' },
  '/Secret': SECRET_STRATEGY,
  '/ConfigMap': CONFIG_MAP_STRATEGY,
  '/Event': EVENT_STRATEGY,
  'apps/Deployment': DEPLOYMENT_STRATEGY,
  'apps/ReplicaSet': REPLICA_SET_STRATEGY,
  'apps/StatefulSet': STATEFUL_SET_STRATEGY,
  'apps/DaemonSet': DAEMON_SET_STRATEGY,
  'batch/Job': JOB_STRATEGY,
  'batch/CronJob': CRON_JOB_STRATEGY,
  'policy/PodDisruptionBudget': BUDGET_STRATEGY,
  '/PersistentVolumeClaim': CLAIM_STRATEGY,
  '/PersistentVolume': VOLUME_STRATEGY,
  'storage.k8s.io/StorageClass': STORAGE_CLASS_STRATEGY,
  'certificates.k8s.io/CertificateSigningRequest': SIGNING_REQUEST_STRATEGY,
  'networking.k8s.io/NetworkPolicy': NETWORK_POLICY_STRATEGY,
  'networking.k8s.io/Ingress': INGRESS_STRATEGY,
  'extensions/Ingress': INGRESS_STRATEGY,
  'networking.k8s.io/IngressClass': { generation: true },
  'discovery.k8s.io/EndpointSlice': { generation: true },
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': WEBHOOK_STRATEGY,
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': WEBHOOK_STRATEGY,
  'apiextensions.k8s.io/CustomResourceDefinition': CRD_STRATEGY,
  'rbac.authorization.k8s.io/Role': ROLE_STRATEGY,
  'rbac.authorization.k8s.io/ClusterRole': CLUSTER_ROLE_STRATEGY,
  'rbac.authorization.k8s.io/RoleBinding': ROLE_BINDING_STRATEGY,
  'rbac.authorization.k8s.io/ClusterRoleBinding': CLUSTER_ROLE_BINDING_STRATEGY,
};
const PLAIN: Strategy = {};
const CUSTOM: Strategy = { generation: true };

/** What a resource does beyond its schema. */
export function strategyOf(resource: Resource): Strategy {
  if (resource.custom) return CUSTOM;
  const key = `${resource.group}/${resource.kind}`;
  return Object.hasOwn(STRATEGIES, key) ? STRATEGIES[key]! : PLAIN;
}
