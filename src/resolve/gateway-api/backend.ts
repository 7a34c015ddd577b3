/** A reference to a backend → an Istio destination. */
import type { GatewayBackend } from '../../objects/gateway-api/backend-policies.ts';
import type { BackendObjectReference } from '../../objects/gateway-api/common.ts';
import type { BackendResult, DestinationSpec } from './backend-result.ts';
import type { ConfigError } from './condition.ts';
import { INFERENCE_POOL, poolDestination } from './inference-pool.ts';
import { GATEWAY_API, GATEWAY_API_EXPERIMENTAL, type World } from './world.ts';

/** What a rule of a route is converted with. */
export interface RuleContext {
  readonly world: World;
  /** `HTTPRoute`, … */
  readonly kind: string;
  readonly namespace: string;
  /** Callers in the mesh may name any Service; gateways need a ReferenceGrant. */
  readonly enforceGrants: boolean;
}

const NOWHERE: DestinationSpec = {};

export function buildDestination(context: RuleContext, reference: BackendObjectReference): BackendResult {
  const { world } = context;
  const groupKind = `${reference.group ?? ''}/${reference.kind ?? 'Service'}`;
  const namespace = reference.namespace ?? context.namespace;
  if (context.enforceGrants && namespace !== context.namespace && !world.grants.allow(`${GATEWAY_API}/${context.kind}`, context.namespace, groupKind, namespace, reference.name))
    return { destination: NOWHERE, error: { reason: 'RefNotPermitted', message: `backendRef ${reference.name}/${namespace} not accessible to a ${context.kind} in namespace "${context.namespace}" (missing a ReferenceGrant?)` } };
  const named = byKind(context, reference, groupKind, namespace);
  if (named.destination !== undefined || !('host' in named)) return named as BackendResult;
  if (reference.port === undefined) return refuse('port is required in backendRef');
  return { destination: { host: named.host, port: { number: reference.port } }, error: named.error };
}

function byKind({ world }: RuleContext, reference: BackendObjectReference, groupKind: string, namespace: string): BackendResult | { readonly destination?: undefined; readonly host: string; readonly error?: ConfigError | undefined } {
  const { name } = reference;
  const missing = (what: string): ConfigError => ({ reason: 'BackendNotFound', message: `backend(${what}) not found` });
  switch (groupKind) {
    case '/Service': {
      if (name.includes('.')) return refuse('service name invalid; the name of the Service must be used, not the hostname.');
      const host = `${name}.${namespace}.svc.${world.domainSuffix}`;
      return { host, error: world.find('/Service', namespace, name) ? undefined : missing(host) };
    }
    case 'multicluster.x-k8s.io/ServiceImport': {
      // Without names for cluster sets a Service is the same on all clusters already.
      const host = `${name}.${namespace}.svc.${world.domainSuffix}`;
      return { host, error: world.find('/Service', namespace, name) ? undefined : missing(host) };
    }
    case 'networking.istio.io/Hostname': {
      if (reference.namespace !== undefined) return refuse('namespace may not be set with Hostname type');
      return { host: name, error: world.services.find(name, namespace) ? undefined : missing(name) };
    }
    case `${GATEWAY_API_EXPERIMENTAL}/XBackend`: return backendObject(world, reference, namespace);
    case INFERENCE_POOL: return poolDestination(world, name, namespace);
    default:
      return { destination: NOWHERE, error: { reason: 'InvalidKind', message: `referencing unsupported backendRef: group "${reference.group ?? ''}" kind "${reference.kind ?? ''}"` } };
  }
}

function refuse(message: string): { readonly destination: undefined; readonly error: ConfigError } {
  return { destination: undefined, error: { reason: 'InvalidDestination', message } };
}

/** An XBackend says its own port; a reference may repeat it. */
function backendObject(world: World, reference: BackendObjectReference, namespace: string): BackendResult {
  const backend = world.find<GatewayBackend>(`${GATEWAY_API_EXPERIMENTAL}/XBackend`, namespace, reference.name);
  const host = backend?.spec.externalHostname?.hostname;
  if (!backend || host === undefined) return { destination: NOWHERE, error: { reason: 'BackendNotFound', message: `backend(${reference.name}) not found` } };
  const { port } = backend.spec.port;
  if (reference.port !== undefined && reference.port !== port)
    return { destination: NOWHERE, error: { reason: 'BackendNotFound', message: `backend(${reference.name}) does not expose port ${reference.port}, expected ${port}` } };
  return { destination: { host, port: { number: port } } };
}

/** A backend that costs its share, not the route. */
export function isSoft(error: ConfigError): boolean {
  return error.reason === 'RefNotPermitted' || error.reason === 'BackendNotFound' || error.reason === 'InvalidKind';
}
