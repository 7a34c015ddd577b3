/** Helm-style values and how `--set` changes them. */

export type Values = { readonly [key: string]: unknown };

/** The values that the injection template and the manifests read, with Istio's defaults. */
export const DEFAULT_VALUES: Values = {
  global: {
    istioNamespace: 'istio-system',
    hub: 'docker.io/meltemi',
    tag: '',
    imagePullPolicy: '',
    imagePullSecrets: [],
    logging: { level: 'default:info' },
    proxy: {
      image: 'proxyv2', autoInject: 'enabled', clusterDomain: 'cluster.local', componentLogLevel: 'misc:error', logLevel: 'warning',
      includeIPRanges: '*', excludeIPRanges: '', includeInboundPorts: '*', excludeInboundPorts: '', includeOutboundPorts: '', excludeOutboundPorts: '',
      privileged: false, readinessFailureThreshold: 4, readinessInitialDelaySeconds: 0, readinessPeriodSeconds: 15, startupProbe: { enabled: true, failureThreshold: 600 },
      resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '2000m', memory: '1024Mi' } },
      statusPort: 15020, tracer: 'none',
    },
    proxy_init: { image: 'proxyv2', forceApplyIptables: false },
    pilotCertProvider: 'istiod', caAddress: '', meshID: '', network: '', multiCluster: { clusterName: '' }, sds: { token: { aud: 'istio-ca' } }, sts: { servicePort: 0 },
    mountMtlsCerts: false,
  },
  sidecarInjectorWebhook: { neverInjectSelector: [], alwaysInjectSelector: [], injectedAnnotations: {}, enableNamespacesByDefault: false, rewriteAppHTTPProbe: true, templates: {}, defaultTemplates: [] },
  revision: '',
  pilot: { image: 'pilot', cni: { enabled: false, provider: 'default' }, env: {} },
  gateways: { securityContext: {}, seccompProfile: {} },
};

/** True for maps; lists and scalars are replaced, never merged. */
function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Deep merge as Helm does: maps merge, everything else is replaced, null removes. */
export function mergeValues(base: Values, overlay: Values): Values {
  const merged: Record<string, unknown> = Object.assign(Object.create(null) as Record<string, unknown>, base);
  for (const [key, value] of Object.entries(overlay)) {
    if (value === null) delete merged[key];
    else if (isMap(value) && isMap(merged[key])) merged[key] = mergeValues(merged[key], value);
    else merged[key] = value;
  }
  return { ...merged };
}

/** The value at a dotted path, or undefined. */
export function valueAt(values: Values, path: string): unknown {
  let current: unknown = values;
  for (const part of path.split('.')) {
    if (!isMap(current) || !Object.hasOwn(current, part)) return undefined;
    current = current[part];
  }
  return current;
}

export type SetResult = { readonly path: string; readonly value: unknown } | { readonly error: string };

/** Parses one `--set key.path=value`; numbers and booleans are recognised, `key[0].x` addresses list items, `\.` is a dot inside a key. */
export function parseSet(text: string): SetResult {
  const at = text.indexOf('=');
  if (at <= 0) return { error: `--set ${text}: write it as key.path=value` };
  return { path: text.slice(0, at), value: parseScalar(text.slice(at + 1)) };
}

function parseScalar(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'null') return null;
  if (/^-?(0|[1-9]\d*)(\.\d+)?$/.test(text)) return Number(text);
  return text;
}

/** A copy of the values with one path set; missing maps and lists on the way are made. */
export function setValue(values: Values, path: string, value: unknown): Values {
  const keys = [...path.matchAll(/((?:\\.|[^.[\]\\])+)|\[(\d+)\]/g)].map(([, name, index]) => (index === undefined ? name!.replaceAll('\\.', '.') : Number(index)));
  return setIn(values, keys, value) as Values;
}

function setIn(node: unknown, keys: readonly (string | number)[], value: unknown): unknown {
  const [key, ...rest] = keys;
  if (key === undefined) return value;
  if (typeof key === 'number') {
    const list: unknown[] = Array.isArray(node) ? [...(node as unknown[])] : [];
    list[key] = setIn(list[key], rest, value);
    return list;
  }
  const map: Record<string, unknown> = isMap(node) ? { ...node } : {};
  Object.defineProperty(map, key, { value: setIn(Object.hasOwn(map, key) ? map[key] : undefined, rest, value), enumerable: true, configurable: true, writable: true });
  return map;
}
