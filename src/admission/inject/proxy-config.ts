// ProxyConfig of one pod: built-in defaults, the mesh's defaultConfig, ProxyConfig objects, the pod's own annotation.
import { parse } from 'yaml';
import { parseDurationMs } from '../../base/duration.ts';
import type { InjectionMeshConfig, Json, JsonObject, ProxyConfigObject } from './types.ts';

/** Built-in values: they are left out of the PROXY_CONFIG variable. @see https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#ProxyConfig */
const DEFAULTS: Readonly<Record<string, Json>> = {
  configPath: './etc/istio/proxy', binaryPath: '/usr/local/bin/envoy', serviceCluster: 'istio-proxy', drainDuration: '45s', terminationDrainDuration: '5s',
  discoveryAddress: 'istiod.istio-system.svc:15012', proxyAdminPort: 15000, controlPlaneAuthPolicy: 'MUTUAL_TLS', statNameLength: 189, statusPort: 15020,
  interceptionMode: 'REDIRECT',
};

export interface PodProxyConfig {
  /** What differs from the built-in defaults: the value of PROXY_CONFIG. */
  readonly own: JsonObject;
  readonly interceptionMode: string;
  readonly statusPort: number;
  readonly holdApplicationUntilProxyStarts: boolean | undefined;
  /** Becomes environment of both injected containers. */
  readonly proxyMetadata: Readonly<Record<string, string>>;
  readonly image: JsonObject | undefined;
  readonly concurrency: number | undefined;
}

/**
 * Merges per top-level field; `proxyMetadata` by entry. Stronger first: the ProxyConfig that selects the pod, its annotation, the namespace's ProxyConfig, the mesh's, `defaultConfig`.
 * Returns a sentence instead when the annotation is not YAML.
 */
export function podProxyConfig(mesh: InjectionMeshConfig, annotation: string | undefined, objects: ApplyingProxyConfigs = NO_OBJECTS): PodProxyConfig | string {
  const own = annotation === undefined ? {} : parseAnnotation(annotation);
  if (typeof own === 'string') return own;
  return proxyConfigOf([mesh.defaultConfig, asFields(objects.mesh), asFields(objects.namespace), own, asFields(objects.workload)].reduce<JsonObject>(merged, {}));
}

/** At most one ProxyConfig of each reach holds for a pod. */
export interface ApplyingProxyConfigs {
  readonly mesh: ProxyConfigObject | undefined;
  readonly namespace: ProxyConfigObject | undefined;
  readonly workload: ProxyConfigObject | undefined;
}

const NO_OBJECTS: ApplyingProxyConfigs = { mesh: undefined, namespace: undefined, workload: undefined };

/** The ProxyConfigs for a pod; of several with the same reach the oldest. @see https://istio.io/latest/docs/reference/config/networking/proxy-config/ */
export function applyingProxyConfigs(objects: readonly ProxyConfigObject[], pod: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> }, rootNamespace: string): ApplyingProxyConfigs {
  const age = ({ metadata }: ProxyConfigObject): string => `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
  const sorted = [...objects].sort((a, b) => (age(a) < age(b) ? -1 : 1));
  const selector = ({ spec }: ProxyConfigObject): readonly (readonly [string, string])[] => Object.entries(spec?.selector?.matchLabels ?? {});
  const everybody = (namespace: string): ProxyConfigObject | undefined => sorted.find((object) => object.metadata.namespace === namespace && selector(object).length === 0);
  return {
    mesh: everybody(rootNamespace),
    namespace: pod.namespace === rootNamespace ? undefined : everybody(pod.namespace),
    workload: sorted.find((object) => object.metadata.namespace === pod.namespace && selector(object).length > 0 && selector(object).every(([key, value]) => Object.hasOwn(pod.labels, key) && pod.labels[key] === value)),
  };
}

/** A ProxyConfig in the words of `defaultConfig`. */
function asFields(object: ProxyConfigObject | undefined): JsonObject {
  const { concurrency, environmentVariables, image } = object?.spec ?? {};
  return { ...(typeof concurrency === 'number' && { concurrency }), ...(environmentVariables && { proxyMetadata: environmentVariables }), ...(image && { image }) };
}

function merged(base: JsonObject, overlay: JsonObject | undefined): JsonObject {
  const metadata = { ...(base['proxyMetadata'] as JsonObject | undefined), ...(overlay?.['proxyMetadata'] as JsonObject | undefined) };
  return { ...base, ...overlay, ...(Object.keys(metadata).length > 0 ? { proxyMetadata: metadata } : {}) };
}

function parseAnnotation(text: string): JsonObject | string {
  let own: unknown;
  try {
    own = parse(text);
  } catch (thrown) {
    return `invalid proxy.istio.io/config: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
  if (own !== null && (typeof own !== 'object' || Array.isArray(own))) return 'invalid proxy.istio.io/config: it is not a map';
  const problem = fieldProblem((own ?? {}) as JsonObject);
  return problem === undefined ? ((own ?? {}) as JsonObject) : `invalid proxy.istio.io/config: ${problem}`;
}

const isDuration = (value: Json): boolean => typeof value === 'string' && (parseDurationMs(value) ?? -1) >= 0;
const isPort = (value: Json): boolean => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65_535;
const isBoolean = (value: Json): boolean => typeof value === 'boolean';
const isText = (value: Json): boolean => typeof value === 'string';
const isMap = (value: Json): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);
const oneOf = (...words: readonly string[]) => (value: Json): boolean => typeof value === 'string' && words.includes(value);

/** Fields of an annotation whose values can be told right from wrong. The others pass: a newer proxy may know them. */
const FIELDS: Readonly<Record<string, readonly [(value: Json) => boolean, string]>> = {
  configPath: [isText, 'text'], binaryPath: [isText, 'text'], serviceCluster: [isText, 'text'], discoveryAddress: [(value) => typeof value === 'string' && /^.+:\d{1,5}$/.test(value), '<host>:<port>'],
  drainDuration: [isDuration, 'a duration'], terminationDrainDuration: [isDuration, 'a duration'], proxyAdminPort: [isPort, 'a port'], statusPort: [isPort, 'a port'],
  concurrency: [(value) => typeof value === 'number' && Number.isInteger(value) && value >= 0, 'a number of threads'], interceptionMode: [oneOf('REDIRECT', 'TPROXY', 'NONE'), 'REDIRECT, TPROXY or NONE'],
  tracingServiceName: [oneOf('APP_LABEL_AND_NAMESPACE', 'CANONICAL_NAME_ONLY', 'CANONICAL_NAME_AND_NAMESPACE'), 'one of the three names'],
  holdApplicationUntilProxyStarts: [isBoolean, 'true or false'], proxyMetadata: [isMap, 'a map'], runtimeValues: [isMap, 'a map'], tracing: [isMap, 'a map'], gatewayTopology: [isMap, 'a map'],
  proxyStatsMatcher: [isMap, 'a map'], image: [isMap, 'a map'], proxyHeaders: [isMap, 'a map'], readinessProbe: [isMap, 'a map'],
};

function fieldProblem(own: JsonObject): string | undefined {
  for (const [name, value] of Object.entries(own)) {
    const rule = Object.hasOwn(FIELDS, name) ? FIELDS[name]! : undefined;
    if (rule && value !== undefined && value !== null && !rule[0](value)) return `${name} must be ${rule[1]}, not ${JSON.stringify(value)}`;
  }
  return undefined;
}

function proxyConfigOf(all: JsonObject): PodProxyConfig {
  const own = Object.fromEntries(Object.entries(all).filter(([key, value]) => value !== undefined && value !== null && !(Object.hasOwn(DEFAULTS, key) && DEFAULTS[key] === value)));
  return {
    own,
    interceptionMode: typeof all['interceptionMode'] === 'string' ? all['interceptionMode'] : 'REDIRECT',
    statusPort: typeof all['statusPort'] === 'number' ? all['statusPort'] : 15020,
    holdApplicationUntilProxyStarts: typeof all['holdApplicationUntilProxyStarts'] === 'boolean' ? all['holdApplicationUntilProxyStarts'] : undefined,
    proxyMetadata: Object.fromEntries(Object.entries((all['proxyMetadata'] as JsonObject | undefined) ?? {}).map(([key, value]) => [key, String(value)])),
    image: all['image'] as JsonObject | undefined,
    concurrency: typeof all['concurrency'] === 'number' ? all['concurrency'] : undefined,
  };
}
