/** BackendTLSPolicy and XBackendTrafficPolicy → one DestinationRule per target and host, and status per ancestor. */
import type { BackendTlsPolicy, BackendTrafficPolicy } from '../../objects/gateway-api/backend-policies.ts';
import type { ParentReference, PolicyStatus, TlsValidation } from '../../objects/gateway-api/common.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { createdMsOf, namespaceOf } from '../context.ts';
import { setConditions, type Condition, type ConditionPlan } from './condition.ts';
import { MESH_CONTROLLER } from './gateway-class.ts';
import { rootMissing, rootOf } from './listener-tls.ts';
import { parentReferenceText, type BackendGateways } from './backend-gateways.ts';
import type { Json } from './rule-parts.ts';
import { GATEWAY_API, GATEWAY_API_EXPERIMENTAL, joinForHumans, type World } from './world.ts';

export interface ConvertedPolicies {
  readonly configs: readonly KubeObject[];
  readonly statuses: readonly { readonly object: KubeObject; readonly status: unknown }[];
}

/** What one policy says of one host. */
interface Part {
  readonly source: KubeObject;
  readonly targetKind: string;
  readonly targetName: string;
  readonly host: string;
  /** Only this port. */
  readonly port: number | undefined;
  readonly settings: Json;
}

/** A name no secret has: connections fail instead of going out unchecked. */
const INVALID_CREDENTIAL = 'invalid://';
const MAX_ANCESTORS = 16;

export function convertPolicies(world: World, gateways: BackendGateways): ConvertedPolicies {
  const parts: Part[] = [];
  const statuses: { object: KubeObject; status: unknown }[] = [];
  for (const policy of world.list<BackendTrafficPolicy>(`${GATEWAY_API_EXPERIMENTAL}/XBackendTrafficPolicy`)) statuses.push({ object: policy, status: trafficPolicy(world, policy, parts) });
  for (const policy of world.list<BackendTlsPolicy>(`${GATEWAY_API}/BackendTLSPolicy`)) statuses.push({ object: policy, status: tlsPolicy(world, policy, gateways, parts) });
  return { configs: mergeParts(parts), statuses };
}

type Plans = Record<string, ConditionPlan>;

function tlsPolicy(world: World, policy: BackendTlsPolicy, gateways: BackendGateways, parts: Part[]): PolicyStatus {
  const plans: Plans = { Accepted: { reason: 'Accepted', message: 'Configuration is valid' }, ResolvedRefs: { reason: 'ResolvedRefs', message: 'Configuration is valid' } };
  const settings = { tls: clientTls(world, namespaceOf(policy), policy.spec.validation, policy.spec.validation.hostname, plans) };
  const reached = new Map<string, ParentReference>();
  let failed = plans;
  const incoming = policy.spec.targetRefs.map((target) => {
    const found = findTarget(world, policy, target);
    if (typeof found === 'string') failed = { ...failed, Accepted: { ...failed['Accepted']!, error: { reason: 'TargetNotFound', message: `targetRefs invalid: ${found}` } } };
    else {
      for (const host of found.hosts) parts.push({ source: policy, targetKind: target.kind, targetName: target.name, host, port: found.port, settings });
      for (const reference of gateways(`${target.group}/${target.kind}`, namespaceOf(policy), target.name)) reached.set(parentReferenceText(reference), reference);
    }
    const reference = { group: target.group, kind: target.kind, name: target.name, ...(target.sectionName !== undefined && { sectionName: target.sectionName }) };
    return { reference, controller: MESH_CONTROLLER, plans: failed };
  });
  const viaGateways = [...reached].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, reference]) => ({ reference, controller: world.features.controllerName, plans: failed }));
  return policyStatus(world, policy, [...incoming, ...viaGateways]);
}

function trafficPolicy(world: World, policy: BackendTrafficPolicy, parts: Part[]): PolicyStatus {
  const { retryConstraint, sessionPersistence, targetRefs } = policy.spec;
  const unsupported = sessionPersistence ? ['sessionPersistence'] : [];
  const message = unsupported.length > 0 ? `Configuration is valid, but Istio does not support the following fields: ${joinForHumans(unsupported)}` : 'Configuration is valid';
  const retryBudget = retryConstraint && {
    ...(retryConstraint.budget?.percent !== undefined && { percent: retryConstraint.budget.percent }),
    ...(retryConstraint.budget?.interval !== undefined && { budgetInterval: retryConstraint.budget.interval }),
    minRetryConcurrency: retryConstraint.minRetryRate?.count ?? 10,
  };
  let plans: Plans = { Accepted: { reason: 'Accepted', message } };
  const incoming = targetRefs.map((target) => {
    const found = findTarget(world, policy, target);
    const problem = typeof found === 'string' ? found : target.kind === 'Service' ? undefined : `unsupported reference kind: ${target.kind}`;
    if (problem !== undefined) plans = { Accepted: { ...plans['Accepted']!, error: { reason: 'TargetNotFound', message: `targetRefs invalid: ${problem}` } } };
    else if (typeof found !== 'string') for (const host of found.hosts) parts.push({ source: policy, targetKind: target.kind, targetName: target.name, host, port: undefined, settings: { loadBalancer: {}, ...(retryBudget && { retryBudget }) } });
    return { reference: { group: target.group, kind: target.kind, name: target.name }, controller: MESH_CONTROLLER, plans };
  });
  return policyStatus(world, policy, incoming);
}

/** TLS towards a backend. Problems go into the plans; the credential is then one that does not exist. */
export function clientTls(world: World, namespace: string, validation: TlsValidation | undefined, sni: string | undefined, plans: Plans): Json {
  const names = (validation?.subjectAltNames ?? []).flatMap((entry) => (entry.type === 'Hostname' ? entry.hostname : entry.uri) ?? []);
  const credential = credentialOf(world, namespace, validation, plans);
  return { mode: 'SIMPLE', ...(sni !== undefined && { sni }), ...(names.length > 0 && { subjectAltNames: names }), ...(credential !== '' && { credentialName: credential }) };
}

function credentialOf(world: World, namespace: string, validation: TlsValidation | undefined, plans: Plans): string {
  const wellKnown = validation?.wellKnownCACertificates;
  if (wellKnown !== undefined) {
    if (wellKnown !== 'System') plans['Accepted'] = { ...plans['Accepted']!, error: { reason: 'Invalid', message: `Unknown wellKnownCACertificates: ${wellKnown}` } };
    return '';
  }
  const [reference, ...more] = validation?.caCertificateRefs ?? [];
  if (!reference) return '';
  if (more.length > 0) plans['Accepted'] = { ...plans['Accepted']!, message: `${plans['Accepted']!.message}; warning: only the first caCertificateRefs will be used` };
  const refuse = (reason: string, prefix: string, problem: string) => {
    plans['ResolvedRefs'] = { ...plans['ResolvedRefs']!, error: { reason, message: `${prefix}: ${problem}` } };
    plans['Accepted'] = { ...plans['Accepted']!, error: { reason: 'NoValidCACertificate', message: `Certificate reference invalid: ${problem}` } };
    return INVALID_CREDENTIAL;
  };
  const kind = `${reference.group}/${reference.kind}`;
  if (!REFERABLE.has(kind)) return refuse('InvalidKind', 'Certificate reference not supported', `unsupported kind ${reference.kind}`);
  const object = world.find<KubeObject & { readonly data?: Readonly<Record<string, unknown>> }>(kind, namespace, reference.name);
  if (!object) return refuse('InvalidCACertificateRef', 'Certificate reference not found', `reference ${namespace}/${reference.name} (of kind ${reference.kind}) not found`);
  if (kind !== '/ConfigMap') return refuse('InvalidKind', 'Certificate reference invalid', `unsupported reference kind: ${reference.kind}`);
  if (!rootOf(object)) return refuse('InvalidCACertificateRef', 'Certificate invalid', rootMissing(object));
  return `configmap://${namespace}/${reference.name}`;
}

/** Kinds that policies may refer to at all. */
const REFERABLE: ReadonlySet<string> = new Set(['/ConfigMap', '/Secret', '/Service', 'networking.istio.io/ServiceEntry', `${GATEWAY_API_EXPERIMENTAL}/XBackend`]);

interface Target {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly sectionName?: string;
}

/** Hosts of a target and the number of the port it names; or what is wrong with it. */
function findTarget(world: World, policy: KubeObject, target: Target): { readonly hosts: readonly string[]; readonly port: number | undefined } | string {
  const kind = `${target.group}/${target.kind}`;
  const namespace = namespaceOf(policy);
  if (!REFERABLE.has(kind)) return `unsupported kind ${target.kind}`;
  const object = world.find<KubeObject & { readonly spec?: { readonly hosts?: unknown; readonly ports?: unknown } }>(kind, namespace, target.name);
  if (!object) return `reference ${namespace}/${target.name} (of kind ${target.kind}) not found`;
  if (target.kind !== 'Service' && target.kind !== 'ServiceEntry') return `unsupported reference kind: ${target.kind}`;
  const ports = (Array.isArray(object.spec?.ports) ? object.spec.ports : []) as readonly { readonly name?: unknown; readonly port?: unknown; readonly number?: unknown }[];
  const section = target.sectionName ? ports.find((port) => port?.name === target.sectionName) : undefined;
  if (target.sectionName && !section) return `sectionName "${target.sectionName}" does not exist in ${target.kind} ${namespace}/${target.name}`;
  const number = section?.port ?? section?.number;
  const hosts = target.kind === 'Service' ? [`${target.name}.${namespace}.svc.${world.domainSuffix}`] : Array.isArray(object.spec?.hosts) ? object.spec.hosts.filter((host): host is string => typeof host === 'string') : [];
  return { hosts, port: typeof number === 'number' ? number : undefined };
}

interface Incoming {
  readonly reference: ParentReference;
  readonly controller: string;
  readonly plans: Plans;
}

function policyStatus(world: World, policy: BackendTlsPolicy | BackendTrafficPolicy, incoming: readonly Incoming[]): PolicyStatus {
  const existing = policy.status?.ancestors ?? [];
  const fresh = incoming.map(({ reference, controller, plans }) => {
    const old = existing.find((entry) => parentReferenceText(entry.ancestorRef) === parentReferenceText(reference));
    return { ancestorRef: reference, controllerName: controller, conditions: setConditions(policy.metadata.generation, old?.conditions as readonly Condition[] | undefined, plans) };
  });
  const foreign = existing.filter(({ controllerName }) => controllerName !== world.features.controllerName && controllerName !== MESH_CONTROLLER);
  return { ancestors: [...foreign, ...fresh].slice(0, MAX_ANCESTORS) as PolicyStatus['ancestors'] };
}

/** The oldest policy wins, setting by setting. */
function mergeParts(parts: readonly Part[]): readonly KubeObject[] {
  const groups = new Map<string, Part[]>();
  for (const part of parts) {
    const key = JSON.stringify([namespaceOf(part.source), part.targetKind, part.targetName, part.host]);
    groups.set(key, [...(groups.get(key) ?? []), part]);
  }
  return [...groups.values()].map((group) => {
    const sorted = [...group].sort((a, b) => createdMsOf(a.source) - createdMsOf(b.source) || (a.source.metadata.name < b.source.metadata.name ? -1 : 1));
    const policy = Object.assign({}, ...sorted.filter(({ port }) => port === undefined).map(({ settings }) => settings).reverse()) as Json;
    const ports = new Map<number, Json>();
    for (const { port, settings } of sorted) if (port !== undefined && !ports.has(port)) ports.set(port, { port: { number: port }, ...settings });
    const { source, targetKind, targetName, host } = sorted[0]!;
    const name = targetKind === 'ServiceEntry' ? `${targetName}~${host.replaceAll('.', '-')}` : targetName;
    const parents = [...new Set(sorted.map((part) => `${part.source.kind}/${namespaceOf(part.source)}.${part.source.metadata.name}`))].join(',');
    return destinationRule(source, `${name}~istio-autogenerated-k8s-gateway`, parents, host, { ...policy, ...(ports.size > 0 && { portLevelSettings: [...ports.values()] }) });
  });
}

/** A DestinationRule in the namespace of what it was made from. */
export function destinationRule(source: KubeObject, name: string, parents: string, host: string, trafficPolicy: Json): KubeObject {
  const { creationTimestamp } = source.metadata;
  const object = {
    apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule',
    metadata: { name, namespace: namespaceOf(source), ...(creationTimestamp !== undefined && { creationTimestamp }), annotations: { 'internal.istio.io/parents': parents } },
    spec: { host, trafficPolicy },
  };
  return object;
}
