import type { KindInfo } from '../kind.ts';
import { BACKEND_TLS_POLICY_KIND, X_BACKEND_KIND, X_BACKEND_TRAFFIC_POLICY_KIND } from './backend-policies.ts';
import { GATEWAY_CLASS_KIND } from './gateway-class.ts';
import { KUBERNETES_GATEWAY_KIND } from './gateway.ts';
import { GRPC_ROUTE_KIND } from './grpc-route.ts';
import { HTTP_ROUTE_KIND } from './http-route.ts';
import { TCP_ROUTE_KIND, TLS_ROUTE_KIND, UDP_ROUTE_KIND } from './l4-routes.ts';
import { LISTENER_SET_KIND, X_LISTENER_SET_KIND } from './listener-set.ts';
import { REFERENCE_GRANT_KIND } from './reference-grant.ts';

/** Gateway API's kinds: served as custom resources. */
export const GATEWAY_API_KINDS: readonly KindInfo[] = [
  GATEWAY_CLASS_KIND,
  KUBERNETES_GATEWAY_KIND,
  LISTENER_SET_KIND,
  HTTP_ROUTE_KIND,
  GRPC_ROUTE_KIND,
  TLS_ROUTE_KIND,
  TCP_ROUTE_KIND,
  UDP_ROUTE_KIND,
  REFERENCE_GRANT_KIND,
  BACKEND_TLS_POLICY_KIND,
  X_LISTENER_SET_KIND,
  X_BACKEND_TRAFFIC_POLICY_KIND,
  X_BACKEND_KIND,
];
