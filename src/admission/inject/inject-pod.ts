// Sidecar and gateway injection as one pure function: pod in, pod and patch out.
import { messageOf } from '../../base/errors.ts';
import { createJsonPatch, type JsonPatchOperation } from './json-patch.ts';
import { dropNulls, mergeStrategic } from './merge.ts';
import { applyOverrides } from './overrides.ts';
import { ownerOf } from './owner.ts';
import { annotationProblems, skipReason } from './policy.ts';
import { capturedPorts, rewriteProbes, type AppProbers } from './probes.ts';
import { applyingProxyConfigs, podProxyConfig } from './proxy-config.ts';
import { renderCustom } from './template-custom.ts';
import { renderGateway, renderGrpcSimple } from './template-gateway.ts';
import { holdsApplication, interceptionMode, templateInput, UID_RANGE, type TemplateInput, type TemplateResult } from './template-input.ts';
import { renderSidecar } from './template-sidecar.ts';
import type { Container, InjectionContext, Json, JsonObject, Pod, PodSpec, WorkloadOwner } from './types.ts';

/** The pod with its proxy, or why it has none. */
export type InjectionResult =
  | { readonly kind: 'injected'; readonly pod: Pod; readonly patch: readonly JsonPatchOperation[] }
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'failed'; readonly message: string };

/** Templates by the names `inject.istio.io/templates` uses. */
const TEMPLATES: Readonly<Record<string, (input: TemplateInput) => TemplateResult>> = {
  sidecar: renderSidecar,
  gateway: renderGateway,
  'grpc-simple': renderGrpcSimple,
};

/** What the caller knows better than the pod says. */
export interface InjectOptions {
  /** Namespace the pod will be in; default the pod's own, else `default`. */
  readonly namespace?: string;
  /** How messages call the workload; default its kind, namespace and name. */
  readonly subject?: string;
  /** The workload, when it is known (`kube-inject`); default from the pod's owner reference. */
  readonly owner?: WorkloadOwner;
}

/**
 * Adds what the pod's templates say. Injecting an injected pod again yields the same pod.
 * @see https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/
 */
export function injectPod(given: Pod, context: InjectionContext, options: InjectOptions = {}): InjectionResult {
  const pod = Object.hasOwn(context.namespaceAnnotations ?? {}, UID_RANGE) ? withoutAssignedUser(given) : given;
  const namespace = options.namespace || pod.metadata?.namespace || 'default';
  const owner = options.owner ?? ownerOf(pod, namespace);
  const reason = skipReason(pod, namespace, options.subject ?? `${owner.kind} "${namespace}/${owner.name || pod.metadata?.generateName || ''}"`, context);
  if (reason !== undefined) return { kind: 'skipped', reason };
  const annotations = pod.metadata?.annotations ?? {};
  const problems = annotationProblems(annotations);
  if (problems.length > 0) return { kind: 'failed', message: problems.join('; ') };
  const objects = applyingProxyConfigs(context.proxyConfigs ?? [], { namespace, labels: pod.metadata?.labels ?? {} }, context.meshConfig.rootNamespace || context.values.global?.istioNamespace || 'istio-system');
  const proxyConfig = podProxyConfig(context.meshConfig, annotations['proxy.istio.io/config'], objects);
  if (typeof proxyConfig === 'string') return { kind: 'failed', message: proxyConfig };
  const names = selectTemplates(annotations, context);
  const custom = context.values.sidecarInjectorWebhook?.templates ?? {};
  const unknown = names.filter((name) => !Object.hasOwn(TEMPLATES, name) && !Object.hasOwn(custom, name));
  if (unknown.length > 0) return { kind: 'failed', message: `injection template ${unknown.join(', ')} is not one of ${[...Object.keys(TEMPLATES), ...Object.keys(custom)].join(', ')}` };
  const input = templateInput(withOverrides(withoutInjected(pod)), owner, context, proxyConfig);
  let template: TemplateResult = { labels: {}, annotations: {}, spec: {} };
  for (const name of names) {
    const next = renderTemplate(name, custom, input);
    if (typeof next === 'string') return { kind: 'failed', message: next };
    template = { labels: { ...template.labels, ...next.labels }, annotations: { ...template.annotations, ...next.annotations }, spec: mergeStrategic(template.spec, dropNulls(next.spec as JsonObject)) };
  }
  const merged = finish(mergeTemplate(pod, template), pod, template, input);
  return { kind: 'injected', pod: merged, patch: createJsonPatch(given as Json, merged as Json) };
}

/**
 * OpenShift gives every container of a pod the same user, also an istio-proxy that the user wrote. That is no wish of the user's, and as the application's
 * user the proxy would not be told apart.
 */
function withoutAssignedUser(pod: Pod): Pod {
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const userOf = (container: Container): Json | undefined => (container['securityContext'] as JsonObject | undefined)?.['runAsUser'];
  const proxy = all.findLast((one) => one.name === 'istio-proxy');
  const app = all.findLast((one) => !['istio-proxy', 'istio-init', 'istio-validation'].includes(one.name) && userOf(one) !== undefined);
  if (!proxy?.['securityContext'] || (userOf(proxy) ?? 0) !== ((app && userOf(app)) ?? 0)) return pod;
  return mapContainers(pod, (container) => {
    if (container.name !== 'istio-proxy') return container;
    const { runAsUser: _user, runAsGroup: _group, ...rest } = (container['securityContext'] as JsonObject | undefined) ?? {};
    return { ...container, securityContext: rest };
  });
}

/** A template of the user wins over one of ours with the same name. A sentence when it cannot be rendered. */
function renderTemplate(name: string, custom: Readonly<Record<string, string>>, input: TemplateInput): TemplateResult | string {
  if (!Object.hasOwn(custom, name)) return TEMPLATES[name]!(input);
  try {
    return renderCustom(custom[name]!, input);
  } catch (thrown) {
    return `injection template ${name}: ${messageOf(thrown)}`;
  }
}

function selectTemplates(annotations: Readonly<Record<string, string>>, context: InjectionContext): string[] {
  const asked = annotations['inject.istio.io/templates'];
  if (asked !== undefined) return asked.split(',').map((name) => name.trim()).filter((name) => name !== '');
  const defaults = context.values.sidecarInjectorWebhook?.defaultTemplates ?? [];
  return defaults.length > 0 ? [...defaults] : ['sidecar'];
}

/** On re-injection what the previous one added is not the application's. */
function withoutInjected(pod: Pod): Pod {
  const status = parseObject(pod.metadata?.annotations?.['sidecar.istio.io/status']);
  if (!status) return pod;
  const injected = (kind: string): readonly Json[] => (Array.isArray(status[kind]) ? status[kind] : []);
  const keep = (kind: 'containers' | 'initContainers'): Container[] => (pod.spec?.[kind] ?? []).filter((container) => !injected(kind).includes(container.name));
  return { ...pod, spec: { ...pod.spec, containers: keep('containers'), ...(pod.spec?.initContainers ? { initContainers: keep('initContainers') } : {}) } };
}

/** Containers the user wrote for the injected ones, as the first injection noted them, are the application's again. */
function withOverrides(pod: Pod): Pod {
  const noted = parseObject(pod.metadata?.annotations?.['proxy.istio.io/overrides']);
  if (!noted) return pod;
  const add = (kind: 'containers' | 'initContainers'): readonly Container[] => {
    const present = pod.spec?.[kind] ?? [];
    const list = (Array.isArray(noted[kind]) ? noted[kind] : []) as readonly Container[];
    return [...present, ...list.filter((container) => !present.some((one) => one.name === container.name))];
  };
  return { ...pod, spec: { ...pod.spec, containers: add('containers'), initContainers: add('initContainers') } };
}

function parseObject(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

function mergeTemplate(pod: Pod, template: TemplateResult): Pod {
  const meta = pod.metadata ?? {};
  return {
    ...pod,
    metadata: { ...meta, labels: { ...meta.labels, ...template.labels }, annotations: { ...meta.annotations, ...template.annotations } },
    spec: mergeStrategic((pod.spec ?? {}) as PodSpec, template.spec),
  };
}

function finish(merged: Pod, original: Pod, template: TemplateResult, input: TemplateInput): Pod {
  let pod = applyOverrides(merged, original, template.spec);
  pod = followProxyUser(pod, original, interceptionMode(input) === 'TPROXY');
  pod = mergePrometheus(pod, input);
  pod = applyNetwork(pod, input);
  pod = redirectProbes(pod, input);
  pod = reorder(pod, holdsApplication(input));
  const extra = input.context.values.sidecarInjectorWebhook?.injectedAnnotations ?? {};
  return { ...pod, metadata: { ...pod.metadata, annotations: { ...pod.metadata?.annotations, ...extra, 'sidecar.istio.io/status': statusAnnotation(template, input) } } };
}

function statusAnnotation(template: TemplateResult, input: TemplateInput): string {
  const names = (list: Json | undefined): Json => (Array.isArray(list) && list.length > 0 ? list.map((one: Json) => (one as JsonObject)['name'] as Json) : null);
  return JSON.stringify({
    initContainers: names(template.spec['initContainers'] as Json), containers: names(template.spec['containers'] as Json), volumes: names(template.spec['volumes']),
    imagePullSecrets: names(template.spec['imagePullSecrets']), revision: input.context.revision || 'default',
  });
}

function mapContainers(pod: Pod, change: (container: Container) => Container): Pod {
  const spec = pod.spec ?? {};
  return {
    ...pod,
    spec: { ...spec, containers: (spec.containers ?? []).map(change), ...(spec.initContainers ? { initContainers: spec.initContainers.map(change) } : {}) },
  };
}

function addProxyEnv(pod: Pod, name: string, value: string): Pod {
  return mapContainers(pod, (container) =>
    container.name === 'istio-proxy' ? { ...container, env: [...((container['env'] as readonly JsonObject[] | undefined) ?? []).filter((one) => one['name'] !== name), { name, value }] } : container);
}

/** When the user runs the proxy as somebody else, istio-init must exempt that user. Only root can intercept transparently. */
function followProxyUser(pod: Pod, original: Pod, isTransparent: boolean): Pod {
  const own = [...(original.spec?.containers ?? []), ...(original.spec?.initContainers ?? [])].find((one) => one.name === 'istio-proxy')?.['securityContext'] as JsonObject | undefined;
  const uid = own?.['runAsUser'];
  const gid = own?.['runAsGroup'];
  if (uid === undefined && gid === undefined) return pod;
  return mapContainers(pod, (container) => {
    if (isTransparent && container.name === 'istio-proxy' && uid !== undefined) return { ...container, securityContext: { ...(container['securityContext'] as JsonObject), runAsUser: 0 } };
    if (container.name !== 'istio-init' && container.name !== 'istio-validation') return container;
    const args = [...((container['args'] as readonly string[] | undefined) ?? [])];
    const at = args.indexOf('-u');
    // The owner match cannot exempt root: that would let everything out.
    if (uid !== undefined && uid !== 0 && at >= 0) args[at + 1] = String(uid);
    const context = container.name === 'istio-validation' && !isTransparent ? { securityContext: { ...(container['securityContext'] as JsonObject), ...(uid === undefined ? {} : { runAsUser: uid }), ...(gid === undefined ? {} : { runAsGroup: gid }) } } : {};
    return { ...container, args, ...context };
  });
}

/** One scrape of the agent's 15020 returns the application's metrics too; where to find those is handed to the agent. */
function mergePrometheus(pod: Pod, input: TemplateInput): Pod {
  const annotations = pod.metadata?.annotations ?? {};
  const get = (name: string): string | undefined => Object.entries(annotations).find(([key]) => labelName(key) === `prometheus_io_${name}`)?.[1];
  const scrape = get('scrape');
  const wanted = annotations['prometheus.istio.io/merge-metrics'] ?? String(input.context.meshConfig.enablePrometheusMerge ?? true);
  if (parseBoolean(wanted) !== true || (scrape !== undefined && parseBoolean(scrape) === false)) return pod;
  const target = String(input.proxyConfig.statusPort);
  if (get('port') === target) return pod;
  const own = Object.fromEntries(([['scrape', scrape], ['path', get('path')], ['port', get('port')]] as const).filter(([, value]) => value !== undefined && value !== ''));
  const noted = Object.keys(own).length > 0 ? addProxyEnv(pod, 'ISTIO_PROMETHEUS_ANNOTATIONS', JSON.stringify({ scrape: '', path: '', port: '', ...own })) : pod;
  const kept = Object.entries(annotations).filter(([key]) => !['prometheus_io_scrape', 'prometheus_io_path', 'prometheus_io_port'].includes(labelName(key)));
  return { ...noted, metadata: { ...noted.metadata, annotations: { ...Object.fromEntries(kept), 'prometheus.io/port': target, 'prometheus.io/path': '/stats/prometheus', 'prometheus.io/scrape': 'true' } } };
}

/** Prometheus reads annotations under the names of labels: `prometheus.io/port` and `prometheus-io/port` are one. */
function labelName(annotation: string): string {
  return annotation.replace(/[^a-zA-Z0-9_]/g, '_');
}

function parseBoolean(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}

function applyNetwork(pod: Pod, input: TemplateInput): Pod {
  const network = input.labels['topology.istio.io/network'] ?? input.context.values.global?.network ?? '';
  if (network === '') return pod;
  const labelled = { ...pod, metadata: { ...pod.metadata, labels: { ...pod.metadata?.labels, 'topology.istio.io/network': network } } };
  return addProxyEnv(labelled, 'ISTIO_META_NETWORK', network);
}

function redirectProbes(pod: Pod, input: TemplateInput): Pod {
  const own = parseBoolean(pod.metadata?.annotations?.['sidecar.istio.io/rewriteAppHTTPProbers'] ?? '');
  const wanted = own ?? input.context.values.sidecarInjectorWebhook?.rewriteAppHTTPProbe ?? true;
  const hasProxy = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].some((container) => container.name === 'istio-proxy');
  const port = Number(input.annotations['status.sidecar.istio.io/port'] ?? input.proxyConfig.statusPort);
  if (!wanted || !hasProxy || port === 0) return pod;
  const isCaptured = capturedPorts(pod.metadata?.annotations ?? {});
  const probers: AppProbers = {};
  // Ordinary init containers have no probes; those that restart always do.
  const rewritten = mapContainers(pod, (container) => (container.name === 'istio-proxy' ? container : rewriteProbes(container, port, probers, isCaptured)));
  const all: AppProbers = { ...probers, ...notedProbers(pod) };
  const names = Object.keys(all).sort();
  return Object.keys(probers).length === 0 ? pod : addProxyEnv(rewritten, APP_PROBERS, JSON.stringify(Object.fromEntries(names.map((name) => [name, all[name]!]))));
}

const APP_PROBERS = 'ISTIO_KUBE_APP_PROBERS';

/** What an earlier injection noted: the probes it rewrote are not the application's any more, so its notes stay. */
function notedProbers(pod: Pod): AppProbers {
  if (pod.metadata?.annotations?.['sidecar.istio.io/status'] === undefined) return {};
  const proxy = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].find((one) => one.name === 'istio-proxy');
  const noted = ((proxy?.['env'] as readonly JsonObject[] | undefined) ?? []).find((one) => one['name'] === APP_PROBERS)?.['value'];
  return (parseObject(typeof noted === 'string' ? noted : undefined) ?? {}) as AppProbers;
}

/** `kubectl exec` picks the first container, so the proxy comes last unless the application must wait for it. */
function reorder(pod: Pod, hold: boolean): Pod {
  const first = (list: readonly Container[], name: string): readonly Container[] => [...list.filter((one) => one.name === name), ...list.filter((one) => one.name !== name)];
  const last = (list: readonly Container[], name: string): readonly Container[] => [...list.filter((one) => one.name !== name), ...list.filter((one) => one.name === name)];
  const containers = (hold ? first : last)(pod.spec?.containers ?? [], 'istio-proxy');
  let init = pod.spec?.initContainers;
  if (init?.some((one) => one.name === 'istio-proxy')) {
    // A native sidecar serves the other init containers too, so interception may start at once.
    for (const name of ['enable-core-dump', 'istio-proxy', 'istio-validation', 'istio-init']) init = first(init, name);
  } else if (init) {
    // Without it, rules set up early would cut off the user's own init containers.
    init = last(last(first(init, 'istio-validation'), 'istio-init'), 'enable-core-dump');
  }
  return { ...pod, spec: { ...pod.spec, containers, ...(init ? { initContainers: init } : {}) } };
}
