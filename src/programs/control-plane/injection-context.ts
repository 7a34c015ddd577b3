/** What injection knows beside the pod: values from ConfigMap `istio-sidecar-injector`, the mesh config, the pod's namespace. */
import { parse } from 'yaml';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { defaultInjectionValues } from '../../admission/inject/defaults.ts';
import type { InjectionContext, InjectionMeshConfig, InjectionValues } from '../../admission/inject/types.ts';
import type { KubeClient } from '../../kube/client/client.ts';
import { createInformer } from '../../kube/client/informer.ts';
import type { ProxyConfig } from '../../objects/istio/proxy-config.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { CONFIG_MAP, PROXY_CONFIG } from '../../objects/resource-types.ts';
import type { ObjectSource } from './object-source.ts';

const log = createLogger('injector');

export interface InjectionSourceOptions {
  readonly client: KubeClient;
  readonly systemNamespace: string;
  readonly revision: string;
  readonly version: string;
  readonly source: ObjectSource;
  readonly signal: AbortSignal;
}

type ConfigMap = KubeObject & { readonly data?: Readonly<Record<string, string>> };

/** Resolves, once the first values are read, to a function that gives the context for a namespace. */
export async function injectionSource(options: InjectionSourceOptions): Promise<(namespace: string) => InjectionContext> {
  const { client, signal, revision, source } = options;
  const name = revision === '' ? 'istio-sidecar-injector' : `istio-sidecar-injector-${revision}`;
  const maps = createInformer<ConfigMap>(client, CONFIG_MAP, { signal, namespace: options.systemNamespace, fieldSelector: `metadata.name=${name}` });
  const values = latest(() => maps.items().get(`${options.systemNamespace}/${name}`)?.data?.['values'], (text) => merge(defaultInjectionValues(options.version), JSON.parse(text)) as InjectionValues, defaultInjectionValues(options.version));
  const meshConfig = latest(() => source.meshConfigText(), (text) => (parse(text) ?? {}) as InjectionMeshConfig, {});
  const proxyConfigs = createInformer<ProxyConfig>(client, PROXY_CONFIG, { signal, optional: true });
  await Promise.all([maps.synced, proxyConfigs.synced]);
  return (namespace) => ({
    values: values(), meshConfig: meshConfig(), proxyConfigs: [...proxyConfigs.items().values()], ...(revision !== '' && { revision }),
    namespaceAnnotations: source.namespaces().get(namespace)?.metadata.annotations ?? {},
  });
}

/** Parses a text again only when it changed; a text that cannot be parsed is reported and the last good value stays. */
function latest<T>(read: () => string | undefined, parseText: (text: string) => T, initial: T): () => T {
  let seen: string | undefined;
  let value = initial;
  return () => {
    const text = read();
    if (text === seen) return value;
    seen = text;
    try {
      value = text === undefined ? initial : parseText(text);
    } catch (error) {
      log.error('injection settings cannot be read; the last good ones stay', { error: messageOf(error) });
    }
    return value;
  };
}

/** Objects are merged, everything else replaces. */
function merge(base: unknown, overlay: unknown): unknown {
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject(base) || !isObject(overlay)) return overlay === undefined || overlay === null ? base : overlay;
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(overlay)) if (key !== '__proto__') merged.set(key, merge(merged.get(key), value));
  return Object.fromEntries(merged);
}
