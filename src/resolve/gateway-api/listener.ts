/** One listener → one Istio server and its part of the status. */
import type { Listener } from '../../objects/gateway-api/common.ts';
import type { KubernetesGatewaySpec } from '../../objects/gateway-api/gateway.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf } from '../context.ts';
import { setConditions, type Condition, type ConditionPlan } from './condition.ts';
import { EAST_WEST_CONTROLLER, MESH_CONTROLLER } from './gateway-class.ts';
import type { ConflictReason } from './listener-conflicts.ts';
import { buildListenerTls, type ServerTlsSpec } from './listener-tls.ts';
import { GATEWAY_API, matchesSelector, namespaceLabels, type World } from './world.ts';

/** A listener's entry in a status. */
export interface ListenerStatus {
  readonly name: string;
  readonly supportedKinds: readonly RouteKind[];
  readonly attachedRoutes: number;
  readonly conditions: readonly Condition[];
}

export interface RouteKind {
  readonly group: string;
  readonly kind: string;
}

/** `spec.servers[]` of an Istio Gateway. */
export interface ServerSpec {
  readonly hosts: readonly string[];
  readonly port: { readonly name: string; readonly number: number; readonly protocol: string };
  readonly tls?: ServerTlsSpec;
}

export interface BuiltListener {
  readonly server: ServerSpec;
  readonly status: ListenerStatus;
  /** It can be programmed. */
  readonly valid: boolean;
}

export interface ListenerInput {
  readonly world: World;
  /** The Gateway or ListenerSet it is written in. */
  readonly owner: KubeObject;
  readonly ownerGroupKind: string;
  readonly gatewaySpec: KubernetesGatewaySpec;
  readonly listener: Listener;
  readonly controller: string;
  /** The entry of the present status. */
  readonly existing: { readonly conditions?: readonly Condition[] } | undefined;
  /** Another listener was first. */
  readonly conflict: ConflictReason | undefined;
  /** The port could not be told from the protocol. */
  readonly portProblem?: string | undefined;
}

const FINE = 'No errors found';

export function buildListener(input: ListenerInput): BuiltListener {
  const { world, owner, listener, controller } = input;
  const built = buildListenerTls(world, owner, input.ownerGroupKind, input.gatewaySpec, listener);
  const server: ServerSpec = {
    hosts: hostMatches(world, namespaceOf(owner), listener),
    // One server a Gateway, so all of them can have the same name.
    port: { name: 'default', number: listener.port, protocol: listener.protocol },
    ...(built.tls && { tls: built.tls }),
  };
  if (input.conflict !== undefined) return { server, status: statusOf(input, conflictPlans(input.conflict)), valid: false };
  const plans: Record<string, ConditionPlan> = {
    Accepted: { reason: 'Accepted', message: FINE },
    Programmed: { reason: 'Programmed', message: FINE },
    Conflicted: { reason: 'NoConflicts', message: FINE, status: 'False' },
    ResolvedRefs: { reason: 'ResolvedRefs', message: FINE },
  };
  let valid = true;
  const fail = (type: string, reason: string, message: string) => {
    plans[type] = { ...plans[type]!, error: { reason, message } };
  };
  const tlsError = built.error ?? built.clientCaError;
  if (tlsError) {
    fail('ResolvedRefs', tlsError.reason, tlsError.message);
    fail('Programmed', 'Invalid', 'Bad TLS configuration');
    if (built.clientCaError) fail('Accepted', 'NoValidCACertificate', tlsError.message);
    valid = false;
  }
  const problem = protocolProblem(world, controller, listener.protocol) ?? input.portProblem;
  if (problem !== undefined) {
    fail('Accepted', 'UnsupportedProtocol', problem);
    valid = false;
  }
  const unexpected = unexpectedListener(controller, listener);
  if (unexpected !== undefined) fail('Accepted', 'UnsupportedProtocol', unexpected);
  return { server, status: statusOf(input, plans), valid };
}

function conflictPlans(reason: ConflictReason): Record<string, ConditionPlan> {
  const message = 'Listener has a conflict with another listener attached to the same Gateway';
  const error = { reason, message };
  return { Accepted: { reason, message, error }, Programmed: { reason, message, error }, Conflicted: { reason, message, status: 'True' } };
}

function statusOf({ listener, owner, existing }: ListenerInput, plans: Record<string, ConditionPlan>): ListenerStatus {
  const { kinds, valid } = supportedKinds(listener);
  const all = valid ? plans : { ...plans, ResolvedRefs: { reason: 'InvalidRouteKinds', message: 'Invalid route kinds', status: 'False' as const } };
  return { name: listener.name, supportedKinds: kinds, attachedRoutes: 0, conditions: setConditions(owner.metadata.generation, existing?.conditions, all) };
}

/** Route kinds of a listener: those its protocol can carry, as far as `allowedRoutes.kinds` names them. Not valid: it names others as well. */
export function supportedKinds(listener: Listener): { readonly kinds: readonly RouteKind[]; readonly valid: boolean } {
  const kindsOf = (...names: string[]): RouteKind[] => names.map((kind) => ({ group: GATEWAY_API, kind }));
  const byProtocol: Readonly<Record<string, readonly RouteKind[]>> = {
    HTTP: kindsOf('HTTPRoute', 'GRPCRoute'), HTTPS: kindsOf('HTTPRoute', 'GRPCRoute'), TCP: kindsOf('TCPRoute'),
    TLS: kindsOf('TLSRoute', ...(listener.tls?.mode === 'Terminate' ? ['TCPRoute'] : [])),
  };
  const supported = Object.hasOwn(byProtocol, listener.protocol) ? byProtocol[listener.protocol]! : [];
  const wanted = listener.allowedRoutes?.kinds ?? [];
  if (wanted.length === 0) return { kinds: supported, valid: true };
  const kinds = supported.filter(({ kind }) => wanted.some((one) => one.kind === kind && (one.group ?? GATEWAY_API) === GATEWAY_API));
  return { kinds, valid: kinds.length === wanted.length };
}

/** `namespace/host` for every namespace whose routes may attach; `~/host` when there is none, so that the port is still served. */
function hostMatches(world: World, namespace: string, listener: Listener): readonly string[] {
  const host = listener.hostname ?? '*';
  const namespaces = allowedNamespaces(world, namespace, listener);
  return namespaces.length > 0 ? namespaces.map((name) => `${name}/${host}`) : [`~/${host}`];
}

function allowedNamespaces(world: World, namespace: string, listener: Listener): readonly string[] {
  const rule = listener.allowedRoutes?.namespaces;
  if (rule?.from === undefined || rule.from === 'Same') return [namespace];
  if (rule.from === 'None') return [];
  const { selector } = rule;
  if (rule.from === 'All' || !selector) return ['*'];
  return world.namespaces().filter((object) => matchesSelector(selector, namespaceLabels(object))).map((object) => object.metadata.name).sort();
}

const PROTOCOLS: ReadonlySet<string> = new Set(['HTTP', 'HTTPS', 'TLS', 'TCP', 'HBONE']);

function protocolProblem(world: World, controller: string, protocol: string): string | undefined {
  if (protocol === 'HTTP' || protocol === 'HTTPS') return undefined;
  if (protocol === 'TLS' || protocol === 'TCP')
    return world.features.alphaApi ? undefined : `protocol "${protocol}" is supported, but only when PILOT_ENABLE_ALPHA_GATEWAY_API=true is configured`;
  if (protocol === 'HBONE') return controller === MESH_CONTROLLER || controller === EAST_WEST_CONTROLLER ? undefined : 'protocol "HBONE" is only supported for waypoint proxies';
  const upper = protocol.toUpperCase();
  return PROTOCOLS.has(upper) ? `protocol "${protocol}" is unsupported. hint: "${upper}" (uppercase) may be supported` : `protocol "${protocol}" is unsupported`;
}

/** Waypoints have one listener; another one is said to be wrong, but does no harm. */
function unexpectedListener(controller: string, listener: Listener): string | undefined {
  const hbone = listener.port === 15_008 && listener.protocol === 'HBONE';
  if (controller === MESH_CONTROLLER && !hbone) return 'Expected a single listener on port 15008 with protocol "HBONE"';
  if (controller === EAST_WEST_CONTROLLER && listener.port === 15_008 && !(hbone && listener.tls?.mode === 'Terminate'))
    return 'Expected a single listener on port 15008 with protocol "HBONE" and TLS.Mode == Terminate';
  return undefined;
}
