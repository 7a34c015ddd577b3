// What every template is rendered from, and the small rules that templates share.
import type { PodProxyConfig } from './proxy-config.ts';
import type { Container, InjectionContext, JsonObject, Pod, ProxyValues, WorkloadOwner } from './types.ts';

export interface TemplateInput {
  readonly pod: Pod;
  readonly owner: WorkloadOwner;
  readonly context: InjectionContext;
  readonly proxyConfig: PodProxyConfig;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** User and group of the proxy: 1337, or the namespace's on OpenShift. */
  readonly proxyUid: number;
  readonly proxyGid: number;
  readonly nativeSidecar: boolean;
}

/** Collects what templates read from the pod and the namespace. */
export function templateInput(pod: Pod, owner: WorkloadOwner, context: InjectionContext, proxyConfig: PodProxyConfig): TemplateInput {
  const annotations = pod.metadata?.annotations ?? {};
  const native = annotations['sidecar.istio.io/nativeSidecar'];
  return {
    pod, owner, context, proxyConfig, annotations,
    labels: pod.metadata?.labels ?? {},
    proxyUid: lastOfRange(context.namespaceAnnotations?.['openshift.io/sa.scc.uid-range']) ?? 1337,
    proxyGid: lastOfRange(context.namespaceAnnotations?.['openshift.io/sa.scc.supplemental-groups']) ?? 1337,
    nativeSidecar: native === undefined ? (context.nativeSidecars ?? false) : /^(1|t|true)$/i.test(native),
  };
}

/** The last id of OpenShift's `<first>/<count>` (or `<first>-<last>`), which applications do not get. */
function lastOfRange(text: string | undefined): number | undefined {
  const match = /^(\d+)([/-])(\d+)$/.exec(text?.split(',')[0] ?? '');
  if (!match) return undefined;
  return match[2] === '/' ? Number(match[1]) + Number(match[3]) - 1 : Number(match[3]);
}

export function proxyValues(input: TemplateInput): ProxyValues {
  return input.context.values.global?.proxy ?? {};
}

/** A pod's annotation, else the installation's value, as text. */
export function annotated(input: TemplateInput, name: string, otherwise: string | number | boolean | undefined): string {
  return Object.hasOwn(input.annotations, name) ? input.annotations[name]! : String(otherwise ?? '');
}

export function interceptionMode(input: TemplateInput): string {
  return annotated(input, 'sidecar.istio.io/interceptionMode', input.proxyConfig.interceptionMode);
}

/** Port of the agent's status server; 0 switches readiness off. */
export function statusPort(input: TemplateInput): string {
  return annotated(input, 'status.sidecar.istio.io/port', proxyValues(input).statusPort ?? 15020);
}

/** Excluded inbound ports with the status port added, unless it is there or switched off. */
export function excludedInboundPorts(input: TemplateInput): string {
  const port = statusPort(input);
  const ports = annotated(input, 'traffic.sidecar.istio.io/excludeInboundPorts', proxyValues(input).excludeInboundPorts).split(',').filter((one) => one !== '');
  return (port === '' || port === '0' || ports.includes(port) ? ports : [...ports, port]).join(',');
}

/** `<hub>/<image>:<tag>[-variant]`; a name with a slash is a whole reference. */
export function imageOf(input: TemplateInput, name: string | undefined): string {
  const asked = Object.hasOwn(input.annotations, 'sidecar.istio.io/proxyImage') ? input.annotations['sidecar.istio.io/proxyImage']! : (name ?? 'proxyv2');
  if (asked.includes('/')) return asked;
  const { hub, tag, variant } = input.context.values.global ?? {};
  const type = typeof input.proxyConfig.image?.['imageType'] === 'string' ? input.proxyConfig.image['imageType'] : (variant ?? '');
  return `${hub ?? 'docker.io/meltemi'}/${asked}:${tag ?? 'latest'}${type === '' || type === 'default' ? '' : `-${type}`}`;
}

/** Names of the application's containers. */
export function appContainers(input: TemplateInput): string[] {
  return (input.pod.spec?.containers ?? []).filter((container) => container.name !== 'istio-proxy').map((container) => container.name);
}

/** `service.istio.io/canonical-name` and `-revision` of the pod. */
export function canonicalLabels(input: TemplateInput): Record<string, string> {
  const first = (...names: string[]): string | undefined => names.map((name) => input.labels[name]).find((value) => value !== undefined && value !== '');
  return {
    'service.istio.io/canonical-name': first('service.istio.io/canonical-name', 'app.kubernetes.io/name', 'app') ?? input.owner.name,
    'service.istio.io/canonical-revision': first('service.istio.io/canonical-revision', 'app.kubernetes.io/version', 'version') ?? 'latest',
  };
}

/** CPU and memory of injected containers: four annotations, else the installation's. */
export function resources(input: TemplateInput): JsonObject {
  const get = (name: string): string | undefined => (Object.hasOwn(input.annotations, name) ? input.annotations[name] : undefined);
  const [cpu, memory, cpuLimit, memoryLimit] = ['proxyCPU', 'proxyMemory', 'proxyCPULimit', 'proxyMemoryLimit'].map((name) => get(`sidecar.istio.io/${name}`));
  if ([cpu, memory, cpuLimit, memoryLimit].every((value) => value === undefined)) return proxyValues(input).resources ?? {};
  const pair = (first: string | undefined, second: string | undefined): JsonObject => ({ ...(first === undefined ? {} : { cpu: first }), ...(second === undefined ? {} : { memory: second }) });
  return {
    ...(cpu === undefined && memory === undefined ? {} : { requests: pair(cpu, memory) }),
    ...(cpuLimit === undefined && memoryLimit === undefined ? {} : { limits: pair(cpuLimit, memoryLimit) }),
  };
}

/** Logging arguments every istio container takes. */
export function logLevelArgs(input: TemplateInput): string[] {
  return [`--log_output_level=${annotated(input, 'sidecar.istio.io/agentLogLevel', input.context.values.global?.logging?.level ?? 'default:info')}`];
}

/** `imagePullPolicy`, when the installation sets one. */
export function pullPolicy(input: TemplateInput): JsonObject {
  const policy = input.context.values.global?.imagePullPolicy;
  return policy ? { imagePullPolicy: policy } : {};
}

/** What a template adds to a pod. */
export interface TemplateResult {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: { readonly containers?: readonly Container[]; readonly initContainers?: readonly Container[] } & JsonObject;
}
