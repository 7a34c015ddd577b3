/**
 * Gateway API → Istio's own objects and status: the table of contents.
 * @see https://istio.io/latest/docs/tasks/traffic-management/ingress/gateway-api/
 */
import type { Issue } from '../../base/issue.ts';
import type { GatewayClass } from '../../objects/gateway-api/gateway-class.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { indexBackendGateways } from './backend-gateways.ts';
import { convertPolicies } from './backend-policy.ts';
import { gatewayClassStatus } from './gateway-class.ts';
import { convertGateways } from './gateway.ts';
import { convertInferencePools } from './inference-pool.ts';
import { attachmentKey, convertRoutes, type ConvertedRoute } from './route.ts';
import { createWorld, GATEWAY_API, type GatewayApiInput } from './world.ts';
import { convertBackends } from './x-backend.ts';

/** A status as it should be; conditions that changed have no time yet. */
export interface StatusUpdate {
  readonly object: KubeObject;
  readonly status: unknown;
}

export interface ConvertedGatewayApi {
  readonly gateways: readonly KubeObject[];
  readonly virtualServices: readonly ConvertedRoute[];
  readonly destinationRules: readonly KubeObject[];
  readonly statuses: readonly StatusUpdate[];
  readonly issues: readonly Issue[];
}

export function convertGatewayApi(input: GatewayApiInput): ConvertedGatewayApi {
  const world = createWorld(input);
  const classes = world.list<GatewayClass>(`${GATEWAY_API}/GatewayClass`).flatMap((object) => {
    const status = gatewayClassStatus(world, object);
    return status ? [{ object, status }] : [];
  });
  const gateways = convertGateways(world);
  const routes = convertRoutes(world, gateways.parents);
  const backends = indexBackendGateways(world);
  const policies = convertPolicies(world, backends);
  const externals = convertBackends(world, backends);
  const owners = gateways.statuses.map(({ object, parentKey, status }) => {
    const listeners = status.listeners?.map((listener) => ({ ...listener, attachedRoutes: routes.attached.get(attachmentKey(parentKey, listener.name)) ?? 0 }));
    return { object, status: { ...status, ...(listeners && { listeners }) } };
  });
  return {
    gateways: gateways.configs, virtualServices: routes.configs, destinationRules: [...policies.configs, ...externals.configs],
    statuses: [...classes, ...owners, ...routes.statuses, ...policies.statuses, ...externals.statuses, ...convertInferencePools(world)], issues: world.issues,
  };
}
