/** GatewayClasses: which controllers are ours and what they do. */
import type { GatewayClass } from '../../objects/gateway-api/gateway-class.ts';
import type { KubernetesGateway, KubernetesGatewaySpec } from '../../objects/gateway-api/gateway.ts';
import { setConditions } from './condition.ts';
import type { GatewayApiFeatures } from './features.ts';
import { GATEWAY_API, type World } from './world.ts';

/** What a controller does with the Gateways of its classes. */
export interface ClassInfo {
  readonly controller: string;
  /** Value of label `gateway.istio.io/managed` of what is deployed. */
  readonly controllerLabel: string;
  readonly description: string;
  /** Which deployment is made; '' makes none. */
  readonly template: '' | 'kube-gateway' | 'waypoint' | 'agentgateway';
  readonly serviceType: 'LoadBalancer' | 'ClusterIP';
  /** Its listeners are programmed by somebody else. */
  readonly remote: boolean;
  readonly supportsListenerSet: boolean;
  /** Deployed objects are named after the Gateway alone, not `<gateway>-<class>`. */
  readonly plainName: boolean;
  /** Which internal address is reported when there is no external one; '' reports both. */
  readonly addressType: 'Hostname' | 'IPAddress' | '';
}

export const MESH_CONTROLLER = 'istio.io/mesh-controller';
export const EAST_WEST_CONTROLLER = 'istio.io/eastwest-controller';
const REMOTE_CONTROLLER = 'istio.io/unmanaged-gateway';
const AGENT_CONTROLLER = 'istio.io/agentgateway-controller';

/** The controllers this control plane is, by name. */
export function classInfos(features: GatewayApiFeatures): ReadonlyMap<string, ClassInfo> {
  const base = { remote: false, supportsListenerSet: true, plainName: false, serviceType: 'LoadBalancer', addressType: 'Hostname' } as const;
  const infos: ClassInfo[] = [
    { ...base, controller: features.controllerName, controllerLabel: 'istio.io-gateway-controller', description: 'The default Istio GatewayClass', template: 'kube-gateway' },
  ];
  if (features.multiNetwork) infos.push({ ...base, controller: REMOTE_CONTROLLER, controllerLabel: '', description: 'Remote to this cluster. Does not deploy or affect configuration.', template: '', remote: true, supportsListenerSet: false });
  if (features.waypoints)
    infos.push({ ...base, controller: MESH_CONTROLLER, controllerLabel: 'istio.io-mesh-controller', description: 'The default Istio waypoint GatewayClass', template: 'waypoint', serviceType: 'ClusterIP', supportsListenerSet: false, plainName: true, addressType: '' });
  if (features.agentGateway) infos.push({ ...base, controller: AGENT_CONTROLLER, controllerLabel: 'istio.io-gateway-controller', description: 'Istio with Agentgateway', template: 'agentgateway' });
  if (features.ambientMultiNetwork)
    infos.push({ ...base, controller: EAST_WEST_CONTROLLER, controllerLabel: 'istio.io-eastwest-controller', description: 'The default GatewayClass for Istio East West Gateways', template: 'waypoint', supportsListenerSet: false, plainName: true, addressType: '' });
  return new Map(infos.map((info) => [info.controller, info]));
}

/** Classes that exist without an object: name → controller. */
export function builtinClasses(features: GatewayApiFeatures): ReadonlyMap<string, string> {
  const classes: (readonly [string, string])[] = [[features.defaultClass, features.controllerName]];
  if (features.multiNetwork) classes.push(['istio-remote', REMOTE_CONTROLLER]);
  if (features.agentGateway) classes.push(['istio-agentgateway', AGENT_CONTROLLER]);
  if (features.waypoints) classes.push(['istio-waypoint', MESH_CONTROLLER]);
  if (features.ambientMultiNetwork) classes.push(['istio-east-west', EAST_WEST_CONTROLLER]);
  return new Map(classes);
}

/** The controller a class names; undefined when there is no such class. */
export function controllerOfClass(world: World, className: string): string | undefined {
  return world.find<GatewayClass>(`${GATEWAY_API}/GatewayClass`, '', className)?.spec.controllerName ?? builtinClasses(world.features).get(className);
}

/** What we do with the Gateways of a class; undefined when it is not ours. */
export function classOf(world: World, className: string): ClassInfo | undefined {
  const controller = controllerOfClass(world, className);
  return controller === undefined ? undefined : classInfos(world.features).get(controller);
}

/** Status of a GatewayClass of ours. */
export function gatewayClassStatus(world: World, object: GatewayClass): GatewayClass['status'] | undefined {
  if (!classInfos(world.features).has(object.spec.controllerName)) return undefined;
  const conditions = setConditions(object.metadata.generation, object.status?.conditions, { Accepted: { reason: 'Accepted', message: 'Handled by Istio controller' } });
  return { ...object.status, conditions } as GatewayClass['status'];
}

/** Do we make the deployment? Not when the Gateway points to an existing one by host name. */
export function isManaged(spec: KubernetesGatewaySpec, features: GatewayApiFeatures): boolean {
  const addresses = spec.addresses ?? [];
  if (!features.manualDeployment || addresses.length === 0) return true;
  return addresses.length === 1 && (addresses[0]?.type === undefined || addresses[0].type === 'IPAddress');
}

/** Name of what is deployed for a Gateway, unless annotations say otherwise. */
export function defaultDeploymentName(gateway: KubernetesGateway, info: ClassInfo): string {
  return info.plainName ? gateway.metadata.name : `${gateway.metadata.name}-${gateway.spec.gatewayClassName}`;
}

/** Annotations that rename what is deployed. */
export const NAME_OVERRIDE = 'gateway.istio.io/name-override';
export const SERVICE_ACCOUNT_OVERRIDE = 'gateway.istio.io/service-account';
