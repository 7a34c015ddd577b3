/** Istio's kinds with their schemas, without the much larger ones of Kubernetes. */
import type { KindInfo } from '../kind.ts';
import { AUTHORIZATION_POLICY_KIND } from './authorization-policy.ts';
import { DESTINATION_RULE_KIND } from './destination-rule.ts';
import { ENVOY_FILTER_KIND } from './envoy-filter.ts';
import { GATEWAY_KIND } from './gateway.ts';
import { PEER_AUTHENTICATION_KIND } from './peer-authentication.ts';
import { PROXY_CONFIG_KIND } from './proxy-config.ts';
import { REQUEST_AUTHENTICATION_KIND } from './request-authentication.ts';
import { SERVICE_ENTRY_KIND } from './service-entry.ts';
import { SIDECAR_KIND } from './sidecar.ts';
import { TELEMETRY_KIND } from './telemetry.ts';
import { TRAFFIC_EXTENSION_KIND } from './traffic-extension.ts';
import { VIRTUAL_SERVICE_KIND } from './virtual-service.ts';
import { WASM_PLUGIN_KIND } from './wasm-plugin.ts';
import { WORKLOAD_ENTRY_KIND } from './workload-entry.ts';
import { WORKLOAD_GROUP_KIND } from './workload-group.ts';

/** Istio's kinds: served as custom resources. */
export const ISTIO_KINDS: readonly KindInfo[] = [
  VIRTUAL_SERVICE_KIND,
  DESTINATION_RULE_KIND,
  GATEWAY_KIND,
  SERVICE_ENTRY_KIND,
  SIDECAR_KIND,
  WORKLOAD_ENTRY_KIND,
  WORKLOAD_GROUP_KIND,
  ENVOY_FILTER_KIND,
  PROXY_CONFIG_KIND,
  PEER_AUTHENTICATION_KIND,
  REQUEST_AUTHENTICATION_KIND,
  AUTHORIZATION_POLICY_KIND,
  TELEMETRY_KIND,
  WASM_PLUGIN_KIND,
  TRAFFIC_EXTENSION_KIND,
];
