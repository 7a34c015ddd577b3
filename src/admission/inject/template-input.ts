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

/** What OpenShift says about a namespace: the users its pods run as. */
export const UID_RANGE = 'openshift.io/sa.scc.uid-range';

/** Collects what templates read from the pod and the namespace. */
export function templateInput(pod: Pod, owner: WorkloadOwner, context: InjectionContext, proxyConfig: PodProxyConfig): TemplateInput {
  const annotations = pod.metadata?.annotations ?? {};
  const native = annotations['sidecar.istio.io/nativeSidecar'];
  return {
    pod, owner, context, proxyConfig, annotations,
    labels: pod.metadata?.labels ?? {},
    proxyUid: lastOfRange(context.namespaceAnnotations?.[UID_RANGE]) ?? 1337,
    // Without groups of its own a namespace's users are its groups.
    proxyGid: lastOfRange(context.namespaceAnnotations?.['openshift.io/sa.scc.supplemental-groups'] ?? context.namespaceAnnotations?.[UID_RANGE]) ?? 1337,
    nativeSidecar: native === undefined || native === '' ? (context.nativeSidecars ?? false) : native !== 'false',
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
  const port = statusPort(input).trim();
  const text = annotated(input, 'traffic.sidecar.istio.io/excludeInboundPorts', proxyValues(input).excludeInboundPorts);
  const ports = text.split(',');
  if (port === '' || port === '0' || ports.includes(port)) return text;
  return [...ports.map((one) => one.trim()).filter((one) => one !== ''), port].join(',');
}

/** Image types that are published: one that the tag already ends in is replaced, not added to. */
const IMAGE_TYPE = /-(distroless|debug)$/;

/** `<hub>/<image>:<tag>[-type]`; a name with a slash (or an annotation with one) is a whole reference. */
export function imageOf(input: TemplateInput, name: string | undefined): string {
  const asked = annotated(input, 'sidecar.istio.io/proxyImage', name ?? 'proxyv2');
  return asked.includes('/') ? asked : installedImage(input, name);
}

/** The image the installation has under a name (default that of the proxy), with the type the pod or its ProxyConfig asks for. */
export function installedImage(input: TemplateInput, name: string | undefined = proxyValues(input).image): string {
  const { hub, tag, variant } = input.context.values.global ?? {};
  const configured = input.proxyConfig.image;
  const type = annotated(input, 'sidecar.istio.io/proxyImageType', configured === undefined ? (variant ?? '') : String(configured['imageType'] ?? ''));
  const plain = String(tag ?? 'latest');
  const whole = type === '' ? plain : `${plain.replace(IMAGE_TYPE, '')}${type === 'default' ? '' : `-${type}`}`;
  return `${hub ?? 'docker.io/meltemi'}/${name || 'proxyv2'}:${whole}`;
}

/** Capabilities that make the proxy root: transparent interception, and listening on low ports. */
export function proxyCapabilities(input: TemplateInput): string[] {
  const bindsLowPorts = annotated(input, 'sidecar.istio.io/capNetBindService', proxyValues(input).capNetBindService) === 'true';
  return [...(interceptionMode(input) === 'TPROXY' ? ['NET_ADMIN'] : []), ...(bindsLowPorts ? ['NET_BIND_SERVICE'] : [])];
}

/** Whether the application waits for the proxy: the pod's ProxyConfig or the installation says so. */
export function holdsApplication(input: TemplateInput): boolean {
  return input.proxyConfig.holdApplicationUntilProxyStarts === true || proxyValues(input).holdApplicationUntilProxyStarts === true;
}

/** Names of the application's containers. */
export function appContainers(input: TemplateInput): string[] {
  return (input.pod.spec?.containers ?? []).filter((container) => container.name !== 'istio-proxy').map((container) => container.name);
}

/** `service.istio.io/canonical-name` and `-revision` of the pod. */
export function canonicalLabels(input: TemplateInput): Record<string, string> {
  const first = (...names: string[]): string | undefined => names.map((name) => input.labels[name]).find((value) => value !== undefined && value !== '');
  const name = first('service.istio.io/canonical-name', 'app.kubernetes.io/name', 'app') ?? input.owner.name;
  return {
    // A label holds 63 characters and does not end in a dash.
    'service.istio.io/canonical-name': name.slice(0, 63).replace(/-$/, ''),
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
