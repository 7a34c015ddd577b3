/** Mesh-wide settings. A plain document (ConfigMap `istio`, key `mesh`), not an object of the API. @see https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/ */
import { anyObject, bool, durationOrZero, int, list, map, obj, oneOf, req, str, uint, type Infer } from '../schema/dsl.ts';
import { labelSelector } from '../kubernetes/meta-schema.ts';
import { clientTls, connectionPool, httpRetry, localityLbSetting, outlierDetection, zoneAwareLbSetting } from './common.ts';
import { extensionProvider } from './extension-provider.ts';
import { meshProxyConfig } from './mesh-proxy-config.ts';

const optionalBool = bool({ nullable: true });
const tlsConfig = obj({
  minProtocolVersion: oneOf('TLS_AUTO', 'TLSV1_2', 'TLSV1_3'),
  ecdhCurves: list(str()),
  cipherSuites: list(str()),
});

/** The schema of MeshConfig. */
export const meshConfig = obj({
  /** Default 15001. */
  proxyListenPort: int(),
  /** Default 15006. */
  proxyInboundListenPort: int(),
  /** HTTP proxy port; 0 (default) is off. */
  proxyHttpPort: int(),
  /** Default 10s. */
  connectTimeout: durationOrZero(),
  /** Default 0s: no timeout. */
  protocolDetectionTimeout: durationOrZero(),
  tcpKeepalive: obj({ probes: uint(), time: durationOrZero(), interval: durationOrZero() }),
  /** Default `istio`. */
  ingressClass: str(),
  ingressService: str(),
  ingressSelector: str(),
  ingressControllerMode: oneOf('UNSPECIFIED', 'OFF', 'DEFAULT', 'STRICT'),
  /** Default true. */
  enableTracing: bool(),
  /** Empty (default) is off. */
  accessLogFile: str(),
  accessLogFormat: str(),
  /** Default TEXT. */
  accessLogEncoding: oneOf('TEXT', 'JSON'),
  enableEnvoyAccessLogService: bool(),
  disableEnvoyListenerLog: bool(),
  defaultConfig: meshProxyConfig,
  outboundTrafficPolicy: obj({ mode: oneOf('REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS'), tls: clientTls }),
  inboundTrafficPolicy: obj({ mode: oneOf('PASSTHROUGH', 'LOCALHOST') }),
  configSources: list(obj({ address: str(), tlsSettings: clientTls, subscribedResources: list(oneOf('SERVICE_REGISTRY')) })),
  /** Default true. */
  enableAutoMtls: optionalBool,
  /** Default `cluster.local`. */
  trustDomain: str(),
  trustDomainAliases: list(str()),
  caCertificates: list(obj({ pem: str(), spiffeBundleUrl: str(), certSigners: list(str()), trustDomains: list(str()) })),
  /** Default [`*`]. */
  defaultServiceExportTo: list(str()),
  defaultVirtualServiceExportTo: list(str()),
  defaultDestinationRuleExportTo: list(str()),
  /** Default `istio-system`. */
  rootNamespace: str(),
  localityLbSetting,
  zoneAwareLbSetting,
  /** Default 60s. */
  dnsRefreshRate: durationOrZero(),
  /** Default DO_NOT_UPGRADE. */
  h2UpgradePolicy: oneOf('DO_NOT_UPGRADE', 'UPGRADE'),
  inboundClusterStatName: str(),
  outboundClusterStatName: str(),
  certificates: list(obj({ secretName: str(), dnsNames: list(str()) })),
  /** Default true. */
  enablePrometheusMerge: optionalBool,
  verifyCertificateAtClient: optionalBool,
  ca: anyObject(),
  extensionProviders: list(extensionProvider),
  defaultProviders: obj({ tracing: list(str()), metrics: list(str()), accessLogging: list(str()) }),
  discoverySelectors: list(labelSelector),
  pathNormalization: obj({ normalization: oneOf('DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES') }),
  defaultHttpRetryPolicy: httpRetry,
  defaultInboundHttpRetryPolicy: httpRetry,
  meshMTLS: tlsConfig,
  tlsDefaults: tlsConfig,
  defaultTrafficPolicy: obj({ connectionPool, outlierDetection }),
  serviceSettings: list(obj({ settings: obj({ clusterLocal: bool() }), hosts: list(str()) })),
  serviceScopeConfigs: list(obj({ namespaceSelector: labelSelector, servicesSelector: labelSelector, scope: oneOf('LOCAL', 'GLOBAL') })),
  serviceEntryVisibility: anyObject(),
  /** Deprecated. */
  thriftConfig: anyObject(),
  mixerCheckServer: str(),
  mixerReportServer: str(),
  disablePolicyChecks: bool(),
  disableMixerHttpReports: bool(),
  policyCheckFailOpen: bool(),
  sidecarToTelemetrySessionAffinity: bool(),
  reportBatchMaxEntries: uint(),
  reportBatchMaxTime: durationOrZero(),
  enableClientSidePolicyCheck: bool(),
});
/** Mesh-wide settings. */
export type MeshConfig = Infer<typeof meshConfig>;

/** Networks and their gateways (`meshNetworks`). */
export const meshNetworks = obj({
  networks: map(
    obj({
      endpoints: list(obj({ fromCidr: str(), fromRegistry: str() })),
      gateways: list(obj({ registryServiceName: str(), address: str(), port: req(uint()), locality: str() })),
    }),
  ),
});
/** Networks and their gateways. */
export type MeshNetworks = Infer<typeof meshNetworks>;
