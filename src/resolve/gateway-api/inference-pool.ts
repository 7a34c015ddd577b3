/**
 * InferencePools as backends: a pool is reached through the headless Service that a controller keeps for it, whose labels name the endpoint picker.
 * @see https://gateway-api-inference-extension.sigs.k8s.io/api-types/inferencepool/
 */
import { sha256Hex } from '../../base/sha256.ts';
import type { RouteStatus } from '../../objects/gateway-api/common.ts';
import type { KubernetesGateway } from '../../objects/gateway-api/gateway.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf, referenceOf } from '../context.ts';
import type { BackendResult } from './backend-result.ts';
import { setConditions, type Condition, type ConditionPlan } from './condition.ts';
import { builtinClasses } from './gateway-class.ts';
import { GATEWAY_API, type World } from './world.ts';

/** `group/kind` of a pool. */
export const INFERENCE_POOL = 'inference.networking.k8s.io/InferencePool';

const PICKER_SERVICE = 'istio.io/inferencepool-extension-service';
const PICKER_PORT = 'istio.io/inferencepool-extension-port';
const MAX_NAME_LENGTH = 63;
const NOWHERE = {};

/** Name of the Service of a pool: as much of the pool's name as fits, and a hash of all of it. */
export function poolServiceName(pool: string): string {
  const suffix = `-ip-${sha256Hex(pool).slice(0, 8)}`;
  return pool.slice(0, MAX_NAME_LENGTH - suffix.length) + suffix;
}

/** A pool has one port, so the destination names none. */
export function poolDestination(world: World, name: string, namespace: string): BackendResult {
  if (!world.features.inferenceExtension)
    return { destination: undefined, error: { reason: 'InvalidKind', message: 'InferencePool is not enabled. To enable, set ENABLE_GATEWAY_API_INFERENCE_EXTENSION to true in istiod' } };
  if (name.includes('.')) return { destination: undefined, error: { reason: 'InvalidDestination', message: 'InferencePool.Name invalid; the name of the InferencePool must be used, not the hostname.' } };
  const missing = (what: string): BackendResult => ({ destination: NOWHERE, error: { reason: 'BackendNotFound', message: `backend(${what}) not found` } });
  if (!world.find(INFERENCE_POOL, namespace, name)) return missing(name);
  const service = poolServiceName(name);
  const host = `${service}.${namespace}.svc.${world.domainSuffix}`;
  const object = world.find('/Service', namespace, service);
  if (!object) return missing(host);
  const { [PICKER_SERVICE]: picker, [PICKER_PORT]: port } = object.metadata.labels ?? {};
  if (!picker || !port) return { destination: NOWHERE, error: { reason: 'InvalidDestination', message: 'InferencePool service invalid, extensionRef labels not found' } };
  return { destination: { host } };
}

interface PoolParent {
  readonly parentRef: { readonly group?: string; readonly kind?: string; readonly namespace?: string; readonly name: string };
  readonly conditions?: readonly Condition[];
}

interface InferencePool extends KubeObject {
  readonly spec?: { readonly endpointPickerRef?: { readonly kind?: unknown; readonly name?: unknown } };
  readonly status?: { readonly parents?: unknown };
}

interface PoolRoute extends KubeObject {
  readonly spec: { readonly rules?: readonly { readonly backendRefs?: readonly { readonly group?: string; readonly kind?: string; readonly name: string; readonly namespace?: string }[] }[] };
  readonly status?: RouteStatus;
}

/**
 * Status of every pool: one entry for each Gateway that a route to the pool has in its own status. What routes will say is known only when their status is
 * stored, so a pool follows one step later.
 */
export function convertInferencePools(world: World): readonly { readonly object: KubeObject; readonly status: unknown }[] {
  if (!world.features.inferenceExtension) return [];
  const pools = world.list<InferencePool>(INFERENCE_POOL);
  if (pools.length > 0) warnOfPickers(world, pools);
  const routes = pools.length > 0 ? world.list<PoolRoute>(`${GATEWAY_API}/HTTPRoute`) : [];
  return pools.map((pool) => ({ object: pool, status: poolStatus(world, pool, routes.filter((route) => isBackend(route, pool))) }));
}

function warnOfPickers(world: World, pools: readonly InferencePool[]): void {
  for (const pool of pools)
    world.issues.push({
      severity: 'warning', code: 'MLT0014', object: referenceOf(pool), path: 'spec.endpointPickerRef',
      message: 'The endpoint picker is not asked: requests are spread over all pods of the pool.',
    });
}

function isBackend(route: PoolRoute, pool: InferencePool): boolean {
  return (route.spec.rules ?? []).flatMap((rule) => rule.backendRefs ?? [])
    .some(({ group = '', kind = 'Service', name, namespace = namespaceOf(route) }) => `${group}/${kind}` === INFERENCE_POOL && name === pool.metadata.name && namespace === namespaceOf(pool));
}

/** What the route's own status says of one of its Gateways. */
interface Attachment {
  readonly namespace: string;
  readonly name: string;
  readonly route: PoolRoute;
  readonly conditions: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
}

function poolStatus(world: World, pool: InferencePool, routes: readonly PoolRoute[]): { readonly parents: readonly PoolParent[] } {
  const controllers = new Set(builtinClasses(world.features).values());
  const attachments = new Map<string, Attachment>();
  for (const route of routes)
    for (const { parentRef, controllerName, conditions } of route.status?.parents ?? []) {
      const namespace = parentRef.namespace || namespaceOf(route);
      const key = `${namespace}/${parentRef.name}`;
      if (controllers.has(controllerName) && !attachments.has(key)) attachments.set(key, { namespace, name: parentRef.name, route, conditions: conditions ?? [] });
    }
  const existing = parentsOf(pool);
  const keyOf = ({ parentRef }: PoolParent) => `${parentRef.namespace || namespaceOf(pool)}/${parentRef.name}`;
  const foreign = existing.filter((parent) => !attachments.has(keyOf(parent)) && !isOwnGateway(world, keyOf(parent)) && !(parent.parentRef.kind === 'Status' && parent.parentRef.name === 'default'));
  const own = [...attachments].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, attachment]): PoolParent => ({
    parentRef: { group: GATEWAY_API, kind: 'Gateway', namespace: attachment.namespace, name: attachment.name },
    conditions: setConditions(pool.metadata.generation, existing.find((parent) => keyOf(parent) === key)?.conditions?.filter(({ type }) => type === 'Accepted' || type === 'ResolvedRefs'), {
      Accepted: acceptedPlan(attachment), ResolvedRefs: resolvedPlan(world, pool),
    }),
  }));
  return { parents: [...foreign, ...own] };
}

/** The entries of a stored status that have the right shape: no schema of ours has checked this kind. */
function parentsOf(pool: InferencePool): readonly PoolParent[] {
  const parents = pool.status?.parents;
  if (!Array.isArray(parents)) return [];
  return (parents as readonly (Partial<PoolParent> | null)[]).filter((parent): parent is PoolParent =>
    typeof parent?.parentRef?.name === 'string' && (parent.conditions === undefined || (Array.isArray(parent.conditions) && parent.conditions.every((condition) => typeof condition?.type === 'string'))));
}

function isOwnGateway(world: World, key: string): boolean {
  const at = key.indexOf('/');
  const gateway = world.find<KubernetesGateway>(`${GATEWAY_API}/Gateway`, key.slice(0, at), key.slice(at + 1));
  return gateway !== undefined && builtinClasses(world.features).has(gateway.spec.gatewayClassName);
}

function acceptedPlan({ conditions, route, namespace, name }: Attachment): ConditionPlan {
  const accepted = conditions.find(({ type }) => type === 'Accepted');
  if (!accepted) return { reason: 'Accepted', status: 'Unknown', message: 'Referenced by an HTTPRoute unknown parentRef Gateway status' };
  if (accepted.status === 'True') return { reason: 'Accepted', message: 'Referenced by an HTTPRoute accepted by the parentRef Gateway' };
  return {
    reason: 'HTTPRouteNotAccepted', status: 'False',
    message: `Referenced HTTPRoute ${namespaceOf(route)}/${route.metadata.name} not accepted by Gateway ${namespace}/${name}: ${accepted.message ?? ''}`,
  };
}

function resolvedPlan(world: World, pool: InferencePool): ConditionPlan {
  const invalid = (message: string): ConditionPlan => ({ reason: 'InvalidExtensionRef', status: 'False', message });
  const { kind, name } = pool.spec?.endpointPickerRef ?? {};
  if (typeof kind === 'string' && kind !== '' && kind !== 'Service') return invalid(`Unsupported ExtensionRef kind ${kind}`);
  if (typeof name !== 'string' || name === '') return invalid('ExtensionRef not defined');
  if (!world.find('/Service', namespaceOf(pool), name)) return invalid(`Referenced ExtensionRef not found ${name}`);
  return { reason: 'ResolvedRefs', message: 'Referenced ExtensionRef resolved successfully' };
}
