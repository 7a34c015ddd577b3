// ProxyConfig as the agent uses it: PROXY_CONFIG (written by the injector) over built-in defaults.
import { parseDurationMs } from '../base/duration.ts';

/** Fields the agent acts on; `raw` keeps everything for the control plane. @see https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#ProxyConfig */
export interface AgentProxyConfig {
  readonly configPath: string;
  readonly binaryPath: string;
  readonly serviceCluster: string;
  readonly tracingServiceName: string;
  readonly discoveryAddress: string;
  readonly proxyAdminPort: number;
  readonly statusPort: number;
  readonly drainDurationMs: number;
  /** How long a terminating proxy keeps serving. Default 5000. */
  readonly terminationDrainDurationMs: number;
  readonly statNameLength: number;
  readonly tracing: Readonly<Record<string, unknown>> | undefined;
  /** Everything, with defaults, as JSON for the node metadata. */
  readonly raw: Readonly<Record<string, unknown>>;
}

const DEFAULTS: Readonly<Record<string, unknown>> = {
  configPath: './etc/istio/proxy', binaryPath: '/usr/local/bin/envoy', serviceCluster: 'istio-proxy', drainDuration: '45s', terminationDrainDuration: '5s',
  discoveryAddress: 'istiod.istio-system.svc:15012', proxyAdminPort: 15000, controlPlaneAuthPolicy: 'MUTUAL_TLS', statNameLength: 189, statusPort: 15020,
};

/** Reads text into data: JSON, or YAML when the caller brings a parser (the injector writes JSON, and a YAML parser costs a sidecar a megabyte). */
export type ParseText = (text: string) => unknown;

/** Built-in defaults with the `defaultConfig` of a mesh configuration over them. Throws a plain sentence when it is no map. */
export function meshDefaults(meshText: string | undefined, parse: ParseText = JSON.parse): Readonly<Record<string, unknown>> {
  if (meshText === undefined || meshText.trim() === '') return DEFAULTS;
  const mesh = parse(meshText) as { readonly defaultConfig?: unknown } | null;
  const own = mesh?.defaultConfig ?? {};
  if (typeof own !== 'object' || Array.isArray(own)) throw new Error('defaultConfig of the mesh configuration is not a map');
  return { ...DEFAULTS, ...own };
}

/** Reads PROXY_CONFIG over the defaults. Throws a plain sentence when it is no map: the proxy must not start with half a configuration. */
export function parseAgentProxyConfig(text: string | undefined, parse: ParseText = JSON.parse, defaults: Readonly<Record<string, unknown>> = DEFAULTS): AgentProxyConfig {
  const own: unknown = text === undefined || text.trim() === '' ? {} : parse(text);
  if (typeof own !== 'object' || own === null || Array.isArray(own)) throw new Error('PROXY_CONFIG is not a map');
  const raw: Record<string, unknown> = { ...defaults, ...own };
  const text_ = (name: string): string => (typeof raw[name] === 'string' ? raw[name] : '');
  const number = (name: string): number => (typeof raw[name] === 'number' ? raw[name] : Number(raw[name] ?? 0) || 0);
  const duration = (name: string): number => parseDurationMs(text_(name)) ?? parseDurationMs(DEFAULTS[name] as string) ?? 0;
  return {
    configPath: text_('configPath'), binaryPath: text_('binaryPath'), serviceCluster: text_('serviceCluster'), tracingServiceName: text_('tracingServiceName'),
    discoveryAddress: text_('discoveryAddress'), proxyAdminPort: number('proxyAdminPort'), statusPort: number('statusPort'),
    drainDurationMs: duration('drainDuration'), terminationDrainDurationMs: duration('terminationDrainDuration'), statNameLength: number('statNameLength'),
    tracing: typeof raw['tracing'] === 'object' && raw['tracing'] !== null ? (raw['tracing'] as Record<string, unknown>) : undefined,
    raw,
  };
}
