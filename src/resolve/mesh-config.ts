import type { Issue } from '../base/issue.ts';
import { contentHash } from '../model/hash.ts';
import type { MeshSettings, TracingSettings } from '../model/mesh.ts';
import { Cursor } from './cursor.ts';
import { readClientTls, readLocality } from './destination-rule.ts';
import { readDiscoverySelectors, type DiscoverySelectors } from './discovery-selectors.ts';
import { readExtAuthzProviders } from './ext-authz-provider.ts';
import { readRetries } from './http-route.ts';

export interface MeshInput {
  /** The `mesh` key of ConfigMap `istio`, parsed; undefined = all defaults. */
  readonly meshConfig?: unknown;
  /** Default `cluster.local`. */
  readonly domainSuffix?: string;
  /** Default `Kubernetes`. */
  readonly clusterId?: string;
  /** Default `istio-system`, unless the mesh config names one. */
  readonly rootNamespace?: string;
  /** CUSTOM policies of one workload may name several authorizers (`PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS`). Default false: what they match is refused then. */
  readonly severalAuthorizers?: boolean | undefined;
}

/** MeshConfig with Istio's defaults. Wrong fields become issues and keep their default. @see features.md §2.14 */
export function resolveMeshConfig(input: MeshInput, issues: Issue[]): MeshSettings & { readonly discoverySelectors: DiscoverySelectors } {
  const report = (path: string, message: string) =>
    issues.push({ severity: 'error', code: 'IST0106', object: { kind: 'MeshConfig', name: 'istio' }, path, message: `${path}: ${message}.` });
  const mesh = new Cursor(input.meshConfig ?? {}, '', report);
  const list = (name: string) => (mesh.at(name).exists ? mesh.at(name).strings() : ['*']);
  const normalization = mesh.at('pathNormalization').at('normalization').oneOf(['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']);
  const body = {
    domainSuffix: input.domainSuffix ?? 'cluster.local',
    clusterId: input.clusterId ?? 'Kubernetes',
    rootNamespace: mesh.at('rootNamespace').string() || (input.rootNamespace ?? 'istio-system'),
    trustDomain: mesh.at('trustDomain').string() || 'cluster.local',
    trustDomainAliases: mesh.at('trustDomainAliases').strings(),
    proxyListenPort: mesh.at('proxyListenPort').positive() ?? 15001,
    proxyInboundListenPort: mesh.at('proxyInboundListenPort').positive() ?? 15006,
    proxyHttpPort: mesh.at('proxyHttpPort').positive() ?? 0,
    connectTimeoutMs: mesh.at('connectTimeout').durationMs() ?? 10_000,
    protocolDetectionTimeoutMs: mesh.at('protocolDetectionTimeout').durationMs() ?? 0,
    accessLogFile: mesh.at('accessLogFile').string(),
    accessLogEncoding: mesh.at('accessLogEncoding').oneOf(['TEXT', 'JSON']) ?? ('TEXT' as const),
    accessLogFormat: mesh.at('accessLogFormat').string(),
    disableListenerLog: mesh.at('disableEnvoyListenerLog').boolean() ?? false,
    enableTracing: mesh.at('enableTracing').boolean() ?? true,
    outboundPolicy: mesh.at('outboundTrafficPolicy').at('mode').oneOf(['REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS']) ?? ('ALLOW_ANY' as const),
    outboundTls: readClientTls(mesh.at('outboundTrafficPolicy').at('tls')),
    inboundPolicy: mesh.at('inboundTrafficPolicy').at('mode').oneOf(['PASSTHROUGH', 'LOCALHOST']) ?? ('PASSTHROUGH' as const),
    enableAutoMtls: mesh.at('enableAutoMtls').boolean() ?? true,
    h2Upgrade: mesh.at('h2UpgradePolicy').oneOf(['DO_NOT_UPGRADE', 'UPGRADE']) === 'UPGRADE',
    defaultRetries: readRetries(mesh.at('defaultHttpRetryPolicy')),
    defaultInboundRetries: readRetries(mesh.at('defaultInboundHttpRetryPolicy')),
    pathNormalization: normalization === undefined || normalization === 'DEFAULT' ? ('BASE' as const) : normalization,
    locality: readLocality(mesh.at('localityLbSetting')) ?? { enabled: true, distribute: [], failover: [], failoverPriority: [] },
    dnsRefreshRateMs: mesh.at('dnsRefreshRate').durationMs() ?? 60_000,
    tracing: readTracing(mesh.at('defaultConfig').at('tracing'), mesh),
    extAuthzProviders: readExtAuthzProviders(mesh),
    severalAuthorizers: input.severalAuthorizers ?? false,
    discoverySelectors: readDiscoverySelectors(mesh.at('discoverySelectors')),
    serviceExportTo: list('defaultServiceExportTo'),
    virtualServiceExportTo: list('defaultVirtualServiceExportTo'),
    destinationRuleExportTo: list('defaultDestinationRuleExportTo'),
  };
  return { ...body, digest: contentHash(body) };
}

/** The Zipkin collector: an extension provider named in `defaultProviders.tracing`, else `defaultConfig.tracing`. Sampling defaults to 1 percent. */
function readTracing(tracing: Cursor, mesh: Cursor): TracingSettings {
  const wanted = mesh.at('defaultProviders').at('tracing').strings()[0];
  const provider = mesh.at('extensionProviders').items().find((entry) => entry.at('name').string() === wanted)?.at('zipkin');
  const fromProvider = provider?.exists ? `${provider.at('service').string().replace(/^.*\//, '')}:${provider.at('port').number() ?? 9411}` : '';
  return {
    zipkinAddress: fromProvider || tracing.at('zipkin').at('address').string(),
    sampling: tracing.at('sampling').number() ?? 1,
    maxPathTagLength: tracing.at('maxPathTagLength').positive() ?? provider?.at('maxTagLength').positive() ?? 256,
  };
}
