// ProxyConfig of one pod: built-in defaults, the mesh's defaultConfig, the pod's own annotation.
import { parse } from 'yaml';
import type { InjectionMeshConfig, Json, JsonObject } from './types.ts';

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

/** Merges per top-level field; `proxyMetadata` by entry. Returns a sentence instead when the annotation is not YAML. */
export function podProxyConfig(mesh: InjectionMeshConfig, annotation: string | undefined): PodProxyConfig | string {
  let merged: Record<string, Json | undefined> = { ...mesh.defaultConfig };
  if (annotation !== undefined) {
    let own: unknown;
    try {
      own = parse(annotation);
    } catch (thrown) {
      return `invalid proxy.istio.io/config: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
    }
    if (own !== null && (typeof own !== 'object' || Array.isArray(own))) return 'invalid proxy.istio.io/config: it is not a map';
    const fields = (own ?? {}) as JsonObject;
    const metadata = { ...(merged['proxyMetadata'] as JsonObject | undefined), ...(fields['proxyMetadata'] as JsonObject | undefined) };
    merged = { ...merged, ...fields, ...(Object.keys(metadata).length > 0 ? { proxyMetadata: metadata } : {}) };
  }
  const own = Object.fromEntries(Object.entries(merged).filter(([key, value]) => value !== undefined && value !== null && !(Object.hasOwn(DEFAULTS, key) && DEFAULTS[key] === value)));
  return {
    own,
    interceptionMode: typeof merged['interceptionMode'] === 'string' ? merged['interceptionMode'] : 'REDIRECT',
    statusPort: typeof merged['statusPort'] === 'number' ? merged['statusPort'] : 15020,
    holdApplicationUntilProxyStarts: typeof merged['holdApplicationUntilProxyStarts'] === 'boolean' ? merged['holdApplicationUntilProxyStarts'] : undefined,
    proxyMetadata: Object.fromEntries(Object.entries((merged['proxyMetadata'] as JsonObject | undefined) ?? {}).map(([key, value]) => [key, String(value)])),
    image: merged['image'] as JsonObject | undefined,
    concurrency: typeof merged['concurrency'] === 'number' ? merged['concurrency'] : undefined,
  };
}
