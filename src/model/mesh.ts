import type { RetrySettings } from './virtual-service.ts';
import type { ClientTls, LocalitySettings } from './destination-rule.ts';
import type { ExtAuthzProvider } from './ext-authz-provider.ts';

/** What happens to calls to hosts that the mesh does not know; `ALLOW_ANY_DYNAMIC_DNS` looks the Host of plain HTTP up itself. */
export type OutboundPolicy = 'ALLOW_ANY' | 'REGISTRY_ONLY' | 'ALLOW_ANY_DYNAMIC_DNS';

/** What MeshConfig says, with defaults filled in. */
export interface MeshSettings {
  readonly domainSuffix: string;
  readonly rootNamespace: string;
  readonly clusterId: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly proxyListenPort: number;
  readonly proxyInboundListenPort: number;
  readonly proxyHttpPort: number;
  readonly connectTimeoutMs: number;
  /** 0 = wait for ever for the first bytes. */
  readonly protocolDetectionTimeoutMs: number;
  /** '' = no access log. */
  readonly accessLogFile: string;
  readonly accessLogEncoding: 'TEXT' | 'JSON';
  /** '' = Istio's default format. */
  readonly accessLogFormat: string;
  readonly disableListenerLog: boolean;
  readonly enableTracing: boolean;
  readonly outboundPolicy: OutboundPolicy;
  /** TLS to hosts that are looked up under ALLOW_ANY_DYNAMIC_DNS. */
  readonly outboundTls: ClientTls | undefined;
  readonly inboundPolicy: 'PASSTHROUGH' | 'LOCALHOST';
  readonly enableAutoMtls: boolean;
  readonly h2Upgrade: boolean;
  readonly defaultRetries: RetrySettings | undefined;
  readonly defaultInboundRetries: RetrySettings | undefined;
  readonly pathNormalization: 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';
  readonly locality: LocalitySettings;
  readonly dnsRefreshRateMs: number;
  readonly tracing: TracingSettings | undefined;
  /** External authorizers, in the order of the mesh config. */
  readonly extAuthzProviders: readonly ExtAuthzProvider[];
  /** CUSTOM policies of one workload may name several of them: all whose policies match are asked, in the order of their names. */
  readonly severalAuthorizers: boolean;
  readonly serviceExportTo: readonly string[];
  readonly virtualServiceExportTo: readonly string[];
  readonly destinationRuleExportTo: readonly string[];
  readonly digest: string;
}

export interface TracingSettings {
  /** `zipkin.istio-system:9411`: the collector. '' = no provider, only propagation. */
  readonly zipkinAddress: string;
  /** Percent of requests 0–100. */
  readonly sampling: number;
  readonly maxPathTagLength: number;
}
