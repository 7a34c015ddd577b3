/** `meshConfig.defaultConfig` and the annotation `proxy.istio.io/config`. @see https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#ProxyConfig */
import { anyObject, bool, durationOrZero, having, int, list, map, num, obj, oneOf, str, uint, type Infer, type Of } from '../schema/dsl.ts';
import { clientTls } from './common.ts';

const optionalBool = bool({ nullable: true });
const optionalInt = having(int() as Of<number | null>, { nullable: true });
const address = obj({ address: str() });
const remoteService = obj({ address: str(), tlsSettings: clientTls, tcpKeepalive: obj({ probes: uint(), time: durationOrZero(), interval: durationOrZero() }) });

const tracing = obj({
  zipkin: address,
  lightstep: obj({ address: str(), accessToken: str() }),
  datadog: address,
  stackdriver: anyObject(),
  openCensusAgent: obj({ address: str(), context: list(str()) }),
  customTags: map(obj({ literal: obj({ value: str() }), environment: obj({ name: str(), defaultValue: str() }), header: obj({ name: str(), defaultValue: str() }) })),
  /** Default 256. */
  maxPathTagLength: uint(),
  /** Percent, default 1.0. */
  sampling: num(),
  tlsSettings: clientTls,
  enableIstioTags: optionalBool,
});
/** Tracing of single proxies. */
export type ProxyTracing = Infer<typeof tracing>;

const switchable = obj({ disabled: optionalBool });
const proxyHeaders = obj({
  forwardedClientCert: oneOf('UNDEFINED', 'SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'),
  setCurrentClientCertDetails: obj({ subject: optionalBool, cert: optionalBool, chain: optionalBool, dns: optionalBool, uri: optionalBool }),
  requestId: switchable,
  server: obj({ disabled: optionalBool, /** Default `istio-envoy`. */ value: str() }),
  attemptCount: switchable,
  envoyDebugHeaders: switchable,
  metadataExchangeHeaders: obj({ mode: oneOf('UNDEFINED', 'IN_MESH') }),
  preserveHttp1HeaderCase: optionalBool,
  xForwardedHost: obj({ enabled: optionalBool }),
  xForwardedPort: obj({ enabled: optionalBool }),
});
/** Headers that a proxy adds by itself. */
export type ProxyHeaders = Infer<typeof proxyHeaders>;

/** The schema of the settings of single proxies. */
export const meshProxyConfig = obj({
  configPath: str(),
  binaryPath: str(),
  serviceCluster: str(),
  tracingServiceName: oneOf('APP_LABEL_AND_NAMESPACE', 'CANONICAL_NAME_ONLY', 'CANONICAL_NAME_AND_NAMESPACE'),
  /** Default 45s. */
  drainDuration: durationOrZero(),
  parentShutdownDuration: durationOrZero(),
  /** Default 5s. */
  terminationDrainDuration: durationOrZero(),
  /** Default `istiod.istio-system.svc:15012`. */
  discoveryAddress: str(),
  discoveryRefreshDelay: durationOrZero(),
  zipkinAddress: str(),
  statsdUdpAddress: str(),
  envoyMetricsServiceAddress: str(),
  envoyMetricsService: remoteService,
  envoyAccessLogService: remoteService,
  /** Default 15000. */
  proxyAdminPort: int(),
  availabilityZone: str(),
  controlPlaneAuthPolicy: oneOf('NONE', 'MUTUAL_TLS', 'INHERIT'),
  customConfigFile: str(),
  /** Default 256. */
  statNameLength: int(),
  /** Worker threads; absent: from the CPU limit; 0: all cores. */
  concurrency: optionalInt,
  proxyBootstrapTemplatePath: str(),
  /** Default REDIRECT. */
  interceptionMode: oneOf('REDIRECT', 'TPROXY', 'NONE'),
  tracing,
  sds: obj({ enabled: bool(), k8sSaJwtPath: str() }),
  /** Environment of the proxy; `ISTIO_META_*` becomes node metadata. */
  proxyMetadata: map(str()),
  runtimeValues: map(str()),
  /** Default 15020. */
  statusPort: int(),
  extraStatTags: list(str()),
  gatewayTopology: obj({
    numTrustedProxies: uint(),
    forwardClientCertDetails: oneOf('UNDEFINED', 'SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'),
    proxyProtocol: anyObject(),
  }),
  proxyStatsMatcher: obj({ inclusionPrefixes: list(str()), inclusionSuffixes: list(str()), inclusionRegexps: list(str()) }),
  /** Default false. */
  holdApplicationUntilProxyStarts: optionalBool,
  caCertificatesPem: list(str()),
  meshId: str(),
  readinessProbe: anyObject(),
  image: obj({ imageType: str() }),
  privateKeyProvider: anyObject(),
  proxyHeaders,
  connectionSettings: anyObject(),
  /** Default 1s. */
  fileFlushInterval: durationOrZero(),
  /** Default 64. */
  fileFlushMinSizeKb: having(uint() as Of<number | null>, { nullable: true }),
  /** Default true. */
  statsCompression: optionalBool,
});
/** Settings of single proxies. */
export type MeshProxyConfig = Infer<typeof meshProxyConfig>;
