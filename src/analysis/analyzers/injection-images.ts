/** Proxies of another version than the injector writes, and `image: auto` that nobody replaces. */
import { parse } from 'yaml';
import type { Issue } from '../../base/issue.ts';
import type { ProxyConfig } from '../../objects/istio/proxy-config.ts';
import type { ConfigMap } from '../../objects/kubernetes/config-map.ts';
import type { Deployment } from '../../objects/kubernetes/deployment.ts';
import type { Namespace } from '../../objects/kubernetes/namespace.ts';
import type { Pod, PodTemplate } from '../../objects/kubernetes/pod.ts';
import type { MutatingWebhookConfiguration } from '../../objects/kubernetes/webhook-configuration.ts';
import { message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';
import { hasLabels, matchesSelector } from '../selector.ts';

const PROXY = 'istio-proxy';
const INJECTOR = 'istio-sidecar-injector';

interface InjectorValues {
  readonly global?: { readonly hub?: string; readonly tag?: string | number; readonly proxy?: { readonly image?: string } };
  readonly sidecarInjectorWebhook?: { readonly enableNamespacesByDefault?: boolean };
}

/** The injector's values for a revision; undefined when its ConfigMap is not there or holds none. */
export function injectorValues(set: ObjectSet, revision: string | undefined): InjectorValues | undefined {
  const name = !revision || revision === 'default' ? INJECTOR : `${INJECTOR}-${revision}`;
  const text = set.of<ConfigMap>('ConfigMap').find(({ metadata }) => metadata.name === name)?.data?.['values'];
  if (text === undefined) return undefined;
  try {
    return (JSON.parse(text) ?? {}) as InjectorValues;
  } catch {
    return undefined;
  }
}

export function analyzeProxyImages(set: ObjectSet): readonly Issue[] {
  return set.of<Namespace>('Namespace').flatMap((namespace) => {
    const { name, labels } = namespace.metadata;
    const revision = labels?.['istio.io/rev'];
    if (labels?.['istio-injection'] !== 'enabled' && revision === undefined) return [];
    const values = injectorValues(set, revision);
    if (!values) return [];
    const image = imageOf(values);
    const stale = set.of<Pod>('Pod').filter((pod) => pod.metadata.namespace === name && !pod.metadata.annotations?.['sidecar.istio.io/proxyImage'] && !runs(set, pod, image));
    if (stale.length === 0) return [];
    return [message('IST0158', namespace, 'metadata.name', [stale.map((pod) => pod.metadata.name)], `kubectl rollout restart deployment -n ${name}`)];
  });
}

function imageOf({ global }: InjectorValues): string {
  const image = global?.proxy?.image ?? '';
  return image.includes('/') ? image : `${global?.hub ?? ''}/${image}:${global?.tag ?? ''}`;
}

function runs(set: ObjectSet, pod: Pod, image: string): boolean {
  const proxies = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].filter(({ name }) => name === PROXY);
  return proxies.every((proxy) => proxy.image === image || proxy.image === `${image}-${imageType(set, pod)}`);
}

/** `distroless`, `debug` …: the pod's annotation, else ProxyConfigs from narrow to wide, else the mesh's default. */
function imageType(set: ObjectSet, pod: Pod): string {
  const configs = set.of<ProxyConfig>('ProxyConfig');
  const inNamespace = (namespace: string | undefined, selecting: boolean) => configs.filter((config) => config.metadata.namespace === namespace && (config.spec.selector !== undefined) === selecting);
  const candidates = [
    annotatedType(pod),
    ...inNamespace(pod.metadata.namespace, true).filter(({ spec }) => hasLabels(pod.metadata.labels, spec.selector?.matchLabels)).map(({ spec }) => spec.image?.imageType),
    ...inNamespace(pod.metadata.namespace, false).map(({ spec }) => spec.image?.imageType),
    ...inNamespace(set.rootNamespace, false).map(({ spec }) => spec.image?.imageType),
    set.meshConfig.defaultConfig?.image?.imageType,
  ];
  const type = candidates.find((candidate) => candidate) ?? '';
  return type === 'default' ? '' : type;
}

function annotatedType(pod: Pod): string | undefined {
  const text = pod.metadata.annotations?.['proxy.istio.io/config'];
  if (text === undefined) return undefined;
  try {
    const type = (parse(text) as { readonly image?: { readonly imageType?: unknown } } | null)?.image?.imageType;
    return typeof type === 'string' ? type : undefined;
  } catch {
    return undefined;
  }
}

/** A pod whose proxy's image is still `auto` was not injected; a deployment's will not be when no webhook takes it. */
export function analyzeAutoImages(set: ObjectSet): readonly Issue[] {
  const hooks = set.of<MutatingWebhookConfiguration>('MutatingWebhookConfiguration').flatMap(({ webhooks }) => webhooks ?? []).filter(({ name }) => name.endsWith('istio.io'));
  const isAuto = (spec: PodTemplate['spec']) => (spec?.containers ?? []).some(({ name, image }) => name === PROXY && image === 'auto');
  const pods = set.of<Pod>('Pod').filter(({ spec }) => isAuto(spec)).map((pod) =>
    message('IST0147', pod, 'spec.containers', ['Pod', pod.metadata.name], 'label the namespace istio-injection=enabled, or the pod sidecar.istio.io/inject=true, and create the pod again'));
  const deployments = set.of<Deployment>('Deployment').filter(({ spec }) => isAuto(spec.template.spec)).filter(({ metadata, spec }) => {
    const namespaceLabels = set.namespace(metadata.namespace || 'default')?.metadata.labels ?? {};
    return !hooks.some((hook) => matchesSelector(hook.namespaceSelector, namespaceLabels) && matchesSelector(hook.objectSelector, spec.template.metadata?.labels ?? {}));
  });
  return [...pods, ...deployments.map((deployment) =>
    message('IST0146', deployment, 'spec.template.spec.containers', ['Deployment', deployment.metadata.name], 'label the namespace istio-injection=enabled, or the pod template sidecar.istio.io/inject=true'))];
}
