/** `x describe pod` and `x describe service`: what Istio's configuration means for one workload, in istioctl's words. */
import { parse } from 'yaml';
import { hasLabels } from '../../analysis/selector.ts';
import { selectProtocol } from '../../model/protocol.ts';
import type { DestinationRule } from '../../objects/istio/destination-rule.ts';
import type { MeshConfig } from '../../objects/istio/mesh-config.ts';
import type { PeerAuthentication } from '../../objects/istio/peer-authentication.ts';
import type { VirtualService } from '../../objects/istio/virtual-service.ts';
import type { ConfigMap } from '../../objects/kubernetes/config-map.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service, ServicePort } from '../../objects/kubernetes/service.ts';
import { CONFIG_MAP, DESTINATION_RULE, PEER_AUTHENTICATION, POD, SERVICE, VIRTUAL_SERVICE } from '../../objects/resource-types.ts';
import type { ClusterReader } from '../command-world.ts';
import { ingressLines, parseDump, podPort, stale, type DescribeContext } from './ingress.ts';
import { destinationRuleOf, rbacPoliciesOf, virtualServiceOf } from './proxy-facts.ts';
import { destinationRuleLines, NO_SUBSETS, subsetsOf, virtualServiceLines } from './rules.ts';

type Labels = Readonly<Record<string, string>>;

export interface DescribeOptions extends DescribeContext {
  /** Say nothing about pods without a sidecar. */
  readonly ignoreUnmeshed: boolean;
  readonly istioNamespace: string;
}

const RULE = '--------------------';
const PROXY = 'istio-proxy';
const PROXY_UID = 1337;
const REQUIREMENTS = 'https://istio.io/latest/docs/ops/deployment/application-requirements/';

export async function describePod(options: DescribeOptions, pod: Pod): Promise<readonly string[]> {
  const { client, naming, ignoreUnmeshed } = options;
  const { namespace = '', labels = {} } = pod.metadata;
  const { items } = await client.list<Service>(SERVICE, { namespace });
  const services = items.filter(({ spec }) => Object.keys(spec.selector ?? {}).length > 0 && hasLabels(labels, spec.selector));
  const lonely = services.length === 0 && !ignoreUnmeshed ? [`Warning: No Kubernetes Services select pod ${naming(pod.metadata)} (see https://istio.io/docs/setup/kubernetes/additional-setup/requirements/ )`] : [];
  return [
    ...podLines(options, pod), ...lonely,
    RULE, ...(await serviceLines(options, pod, services, [labels])),
    RULE, ...(await mtlsLines(options, namespace, labels, revisionOf(pod))),
    ...(await ingressLines(options, services, [labels])),
  ];
}

export async function describeService(options: DescribeOptions, service: Service): Promise<readonly string[]> {
  const { client, naming } = options;
  const selector = service.spec.selector ?? {};
  const { items } = Object.keys(selector).length === 0 ? { items: [] } : await client.list<Pod>(POD, { namespace: service.metadata.namespace ?? '', labelSelector: Object.entries(selector).map(([key, value]) => `${key}=${value}`).join(',') });
  const notes: string[] = [];
  const pods = items.filter((pod) => {
    const note = notReady(pod, naming(pod.metadata));
    if (note !== undefined) notes.push(note);
    return note === undefined;
  });
  if (items.length === 0) return [`Service ${JSON.stringify(naming(service.metadata))} has no pods.`];
  if (pods.length === 0) return [...notes, `Service ${JSON.stringify(naming(service.metadata))} has no Istio pods.  (${items.length} pods in service).`, 'Use `istioctl kube-inject` or redeploy with Istio automatic sidecar injection.'];
  const labels = pods.map(({ metadata }) => metadata.labels ?? {});
  return [...notes, ...(await serviceLines(options, pods[0]!, [service], labels)), ...(await ingressLines(options, [service], labels))];
}

function notReady(pod: Pod, name: string): string | undefined {
  if (pod.status?.phase !== 'Running') return `   Pod is not Running (${pod.status?.phase ?? ''})`;
  const proxy = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])].find((status) => status.name === PROXY);
  if (!proxy) return `Pod ${name}: no container "${PROXY}" in pod`;
  return proxy.ready ? undefined : `WARNING: Pod ${name} Container ${PROXY} NOT READY`;
}

/** Revision of the control plane that injected the pod. */
function revisionOf({ metadata }: Pod): string {
  const own = metadata.annotations?.['istio.io/rev'];
  if (own !== undefined) return own;
  try {
    return (JSON.parse(metadata.annotations?.['sidecar.istio.io/status'] ?? '{}') as { revision?: string }).revision ?? '';
  } catch {
    return '';
  }
}

function podLines({ naming, ignoreUnmeshed }: DescribeOptions, pod: Pod): readonly string[] {
  const name = naming(pod.metadata);
  const containers = pod.spec.containers;
  const ports = containers.flatMap((container) => (container.ports ?? []).map(({ containerPort, protocol }) => `${containerPort}${(protocol ?? 'TCP') === 'TCP' ? '' : `/${protocol}`} (${container.name})`));
  const lines = [
    ...containers.filter((one) => one.name !== PROXY && one.securityContext?.runAsUser === PROXY_UID).map(() => 'WARNING: User ID (UID) 1337 is reserved for the sidecar proxy.'),
    `Pod: ${name}`, `   Pod Revision: ${revisionOf(pod)}`, ports.length > 0 ? `   Pod Ports: ${ports.join(', ')}` : '   Pod does not expose ports',
  ];
  if (pod.status?.phase !== 'Running') return [...lines, `   Pod is not Running (${pod.status?.phase ?? ''})`];
  const waiting = (statuses: readonly { readonly name: string; readonly ready: boolean }[] | undefined, kind: string) => (statuses ?? []).filter(({ ready }) => !ready).map((status) => `WARNING: Pod ${name} ${kind} ${status.name} NOT READY`);
  lines.push(...waiting(pod.status.containerStatuses, 'Container'), ...waiting(pod.status.initContainerStatuses, 'Init Container'));
  if (ignoreUnmeshed) return lines;
  if (![...containers, ...(pod.spec.initContainers ?? [])].some((one) => one.name === PROXY)) return [...lines, `WARNING: ${name} is not part of mesh; no Istio sidecar`];
  if (pod.spec.securityContext?.runAsUser === PROXY_UID) lines.push('   WARNING: User ID (UID) 1337 is reserved for the sidecar proxy.');
  const { labels = {} } = pod.metadata;
  const hasOne = (...keys: readonly string[]) => keys.some((key) => labels[key]);
  if (!hasOne('service.istio.io/canonical-name', 'app.kubernetes.io/name', 'app')) lines.push(`Suggestion: add required service name label for Istio telemetry. See ${REQUIREMENTS}.`);
  if (!hasOne('service.istio.io/canonical-revision', 'app.kubernetes.io/version', 'version')) lines.push(`Suggestion: add required service revision label for Istio telemetry. See ${REQUIREMENTS}.`);
  return lines;
}

/** The services of a pod and the rules its proxy has for them. */
async function serviceLines(options: DescribeOptions, pod: Pod, services: readonly Service[], podLabels: readonly Labels[]): Promise<readonly string[]> {
  const { client, naming, ignoreUnmeshed } = options;
  const { name, namespace = '' } = pod.metadata;
  const text = await options.askProxy({ name, namespace }, 'config_dump').catch((error: unknown) => {
    if (ignoreUnmeshed) return undefined;
    throw new Error(`failed to execute command on sidecar: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  });
  if (text === undefined) return [];
  const dump = parseDump(text);
  const lines: string[] = [];
  for (const [index, service] of services.entries()) {
    if (index > 0) lines.push(RULE);
    lines.push(`Service: ${naming(service.metadata)}`, ...(service.spec.ports ?? []).filter(({ protocol }) => protocol === 'TCP').map((port) => portLine(pod, port)));
    const ports = service.spec.ports ?? [];
    const indent = ports.length > 1 ? 3 : 0;
    for (const { port } of ports) {
      if (ports.length > 1) lines.push(`${port}:`);
      const where = { name: service.metadata.name, namespace: service.metadata.namespace ?? '', port };
      const ruleName = destinationRuleOf(dump, where);
      const rule = ruleName && (await client.get<DestinationRule>(DESTINATION_RULE, ruleName.name, ruleName.namespace));
      if (ruleName) lines.push(...(rule ? destinationRuleLines(rule, podLabels, indent, naming) : [stale('destination rule', ruleName)]));
      const virtualName = virtualServiceOf(dump, where);
      const virtual = virtualName && (await client.get<VirtualService>(VIRTUAL_SERVICE, virtualName.name, virtualName.namespace));
      if (virtualName) lines.push(...(virtual ? virtualServiceLines(virtual, service, rule ? subsetsOf(rule, podLabels) : NO_SUBSETS, rule ?? undefined, indent, naming) : [stale('virtual service', virtualName)]));
      const policies = rbacPoliciesOf(dump);
      if (policies.length > 0) lines.push(`${ports.length > 1 ? `${port} ` : ''}RBAC policies: ${policies.join(', ')}`);
    }
  }
  return lines;
}

function portLine(pod: Pod, port: ServicePort): string {
  const { name, appProtocol, protocol } = port;
  const target = podPort(pod, port);
  if (target === undefined) return `   no suitable port for manifest: ${pod.metadata.uid ?? ''}`;
  const chosen = !name && appProtocol === undefined ? 'auto-detect' : selectProtocol({ number: port.port, ...(name !== undefined && { name }), ...(appProtocol !== undefined && { appProtocol }), ...(protocol !== undefined && { transport: protocol }) });
  return `   Port: ${name ?? ''} ${port.port}/${chosen === 'Auto' ? 'UnsupportedProtocol' : chosen} targets pod port ${target}`;
}

async function mtlsLines({ client, istioNamespace }: DescribeOptions, namespace: string, labels: Labels, revision: string): Promise<readonly string[]> {
  const root = (await meshConfigOf(client, istioNamespace, revision)).rootNamespace ?? istioNamespace;
  const inRoot = (await client.list<PeerAuthentication>(PEER_AUTHENTICATION, { namespace: root })).items;
  const own = namespace === root ? [] : (await client.list<PeerAuthentication>(PEER_AUTHENTICATION, { namespace })).items;
  const matching = [...inRoot, ...own].filter(({ spec }) => hasLabels(labels, spec.selector?.matchLabels));
  const { mode, ports } = effectiveMtls(matching, root);
  return [
    'Effective PeerAuthentication:', `   Workload mTLS mode: ${mode}`,
    ...(ports.length > 0 ? ['   Port Level mTLS mode:', ...ports.map(([port, level]) => `      ${port}: ${level}`)] : []),
    ...(matching.length > 0 ? ['Applied PeerAuthentication:', `   ${matching.map(({ metadata }) => `${metadata.name}.${metadata.namespace ?? ''}`).join(', ')}`] : []),
  ];
}

async function meshConfigOf(client: ClusterReader, istioNamespace: string, revision: string): Promise<MeshConfig> {
  const name = revision === '' || revision === 'default' ? 'istio' : `istio-${revision}`;
  const map = await client.get<ConfigMap>(CONFIG_MAP, name, istioNamespace);
  if (!map) throw new Error(`failed to fetch mesh config: could not read configmap "${name}" from namespace "${istioNamespace}"`);
  return (parse(map.data?.['mesh'] ?? '{}') ?? {}) as MeshConfig;
}

/** Workload over namespace over mesh, the oldest of a level first; UNSET inherits, PERMISSIVE in the end. */
function effectiveMtls(policies: readonly PeerAuthentication[], root: string): { readonly mode: string; readonly ports: readonly (readonly [string, string])[] } {
  const age = ({ metadata }: PeerAuthentication) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
  const oldest = (level: (policy: PeerAuthentication) => boolean) => policies.filter(level).toSorted((a, b) => (age(a) < age(b) ? -1 : 1))[0];
  const selects = ({ spec }: PeerAuthentication) => Object.keys(spec.selector?.matchLabels ?? {}).length > 0;
  const workload = oldest((policy) => selects(policy));
  const levels = [workload, oldest((policy) => !selects(policy) && policy.metadata.namespace !== root), oldest((policy) => !selects(policy) && policy.metadata.namespace === root)];
  const set = (mode: string | undefined) => (mode === undefined || mode === 'UNSET' ? undefined : mode);
  const mode = levels.map((policy) => set(policy?.spec.mtls?.mode)).find((found) => found !== undefined) ?? 'PERMISSIVE';
  return { mode, ports: Object.entries(workload?.spec.portLevelMtls ?? {}).map(([port, settings]) => [port, set(settings.mode) ?? mode] as const) };
}
