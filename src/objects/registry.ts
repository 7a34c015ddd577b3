/** All kinds with their schemas. Large: import it only where schemas are needed (the API server, the CLI); elsewhere `resource-types.ts` and types do. */
import { GATEWAY_API_KINDS } from './gateway-api/kinds.ts';
import { ISTIO_KINDS } from './istio/kinds.ts';
import { LEGACY_KINDS } from './istio/legacy/kinds.ts';
import type { KindInfo } from './kind.ts';
import { CERTIFICATE_SIGNING_REQUEST_KIND } from './kubernetes/certificate-signing-request.ts';
import { CONFIG_MAP_KIND } from './kubernetes/config-map.ts';
import { CUSTOM_RESOURCE_DEFINITION_KIND } from './kubernetes/custom-resource-definition.ts';
import { CONTROLLER_REVISION_KIND, DAEMON_SET_KIND } from './kubernetes/daemon-set.ts';
import { DEPLOYMENT_KIND } from './kubernetes/deployment.ts';
import { ENDPOINT_SLICE_KIND } from './kubernetes/endpoint-slice.ts';
import { ENDPOINTS_KIND } from './kubernetes/endpoints.ts';
import { EVENT_KIND } from './kubernetes/event.ts';
import { HORIZONTAL_POD_AUTOSCALER_KIND } from './kubernetes/horizontal-pod-autoscaler.ts';
import { EXTENSIONS_INGRESS_KIND, INGRESS_CLASS_KIND, INGRESS_KIND } from './kubernetes/ingress.ts';
import { CRON_JOB_KIND, JOB_KIND } from './kubernetes/job.ts';
import { LEASE_KIND } from './kubernetes/lease.ts';
import { NAMESPACE_KIND } from './kubernetes/namespace.ts';
import { NODE_KIND } from './kubernetes/node.ts';
import { PERSISTENT_VOLUME_CLAIM_KIND } from './kubernetes/persistent-volume-claim.ts';
import { POD_KIND } from './kubernetes/pod.ts';
import { LIMIT_RANGE_KIND, NETWORK_POLICY_KIND, POD_DISRUPTION_BUDGET_KIND, PRIORITY_CLASS_KIND, RESOURCE_QUOTA_KIND } from './kubernetes/policy.ts';
import { CLUSTER_ROLE_BINDING_KIND, CLUSTER_ROLE_KIND, ROLE_BINDING_KIND, ROLE_KIND } from './kubernetes/rbac.ts';
import { REPLICA_SET_KIND, REPLICATION_CONTROLLER_KIND } from './kubernetes/replica-set.ts';
import { SECRET_KIND } from './kubernetes/secret.ts';
import { SERVICE_ACCOUNT_KIND } from './kubernetes/service-account.ts';
import { SERVICE_KIND } from './kubernetes/service.ts';
import { STATEFUL_SET_KIND } from './kubernetes/stateful-set.ts';
import { PERSISTENT_VOLUME_KIND, STORAGE_CLASS_KIND } from './kubernetes/storage.ts';
import { TOKEN_REVIEW_KIND } from './kubernetes/token.ts';
import { MUTATING_WEBHOOK_CONFIGURATION_KIND, VALIDATING_WEBHOOK_CONFIGURATION_KIND } from './kubernetes/webhook-configuration.ts';
import { SMI_KINDS } from './smi/kinds.ts';

/** Every kind, built-in ones first. */
export const KINDS: readonly KindInfo[] = [
  NAMESPACE_KIND,
  NODE_KIND,
  POD_KIND,
  SERVICE_KIND,
  ENDPOINTS_KIND,
  SERVICE_ACCOUNT_KIND,
  SECRET_KIND,
  CONFIG_MAP_KIND,
  EVENT_KIND,
  ENDPOINT_SLICE_KIND,
  DEPLOYMENT_KIND,
  REPLICA_SET_KIND,
  REPLICATION_CONTROLLER_KIND,
  STATEFUL_SET_KIND,
  DAEMON_SET_KIND,
  CONTROLLER_REVISION_KIND,
  JOB_KIND,
  CRON_JOB_KIND,
  POD_DISRUPTION_BUDGET_KIND,
  HORIZONTAL_POD_AUTOSCALER_KIND,
  PERSISTENT_VOLUME_CLAIM_KIND,
  PERSISTENT_VOLUME_KIND,
  STORAGE_CLASS_KIND,
  CERTIFICATE_SIGNING_REQUEST_KIND,
  NETWORK_POLICY_KIND,
  LIMIT_RANGE_KIND,
  RESOURCE_QUOTA_KIND,
  PRIORITY_CLASS_KIND,
  INGRESS_KIND,
  EXTENSIONS_INGRESS_KIND,
  INGRESS_CLASS_KIND,
  MUTATING_WEBHOOK_CONFIGURATION_KIND,
  VALIDATING_WEBHOOK_CONFIGURATION_KIND,
  CUSTOM_RESOURCE_DEFINITION_KIND,
  TOKEN_REVIEW_KIND,
  LEASE_KIND,
  ROLE_KIND,
  ROLE_BINDING_KIND,
  CLUSTER_ROLE_KIND,
  CLUSTER_ROLE_BINDING_KIND,
  ...ISTIO_KINDS,
  ...GATEWAY_API_KINDS,
  ...LEGACY_KINDS,
  ...SMI_KINDS,
];

/** The kind with this name, or undefined. The core group is ''. */
export function findKind(group: string, kind: string): KindInfo | undefined {
  return KINDS.find((info) => info.group === group && info.kind === kind);
}

/** The kind whose resource has this plural name, or undefined. */
export function findResource(group: string, plural: string): KindInfo | undefined {
  return KINDS.find((info) => info.group === group && info.plural === plural);
}
