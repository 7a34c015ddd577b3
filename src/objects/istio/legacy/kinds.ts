/** Kinds that Istio gave up and that people's files still have: served, and read as what replaced them. */
import type { KindInfo } from '../../kind.ts';
import { AUTHENTICATION_POLICY_KIND, MESH_POLICY_KIND } from './authentication.ts';
import { CLUSTER_RBAC_CONFIG_KIND, RBAC_CONFIG_KIND, SERVICE_ROLE_BINDING_KIND, SERVICE_ROLE_KIND } from './rbac.ts';

/** Kinds of `authentication.istio.io` and `rbac.istio.io`. */
export const LEGACY_KINDS: readonly KindInfo[] = [MESH_POLICY_KIND, AUTHENTICATION_POLICY_KIND, SERVICE_ROLE_KIND, SERVICE_ROLE_BINDING_KIND, RBAC_CONFIG_KIND, CLUSTER_RBAC_CONFIG_KIND];
