/** Types that several Istio kinds share. */
import { anyObject, bool, bytes, duration, durationOrZero, having, int, int64, list, map, num, obj, oneOf, req, str, time, uint, type Infer } from '../schema/dsl.ts';
import type { Of } from '../schema/dsl.ts';

/** One way to compare a text; exactly one of the fields is set. `regex` is RE2 and must match the whole text. @see https://istio.io/latest/docs/reference/config/networking/virtual-service/#StringMatch */
export const stringMatch = obj({ exact: str(), prefix: str(), regex: str() });
/** One way to compare a text; exactly one of the fields is set. */
export type StringMatch = Infer<typeof stringMatch>;

/** A port by number. */
export const portSelector = obj({ number: uint() });
export type PortSelector = Infer<typeof portSelector>;

/** A percentage, 0.0–100.0. */
export const percent = obj({ value: num() });
export type Percent = Infer<typeof percent>;

/** Where traffic goes. @see https://istio.io/latest/docs/reference/config/networking/virtual-service/#Destination */
export const destination = obj({
  /** A registry host; a short name is meant in the namespace of the rule. */
  host: req(str()),
  subset: str(),
  port: portSelector,
});
export type Destination = Infer<typeof destination>;

/** Selects workloads by labels (Sidecar, EnvoyFilter, ServiceEntry). */
export const networkingSelector = obj({ labels: map(str({ maxLength: 63 }), { maxProperties: 256 }) });
export type NetworkingSelector = Infer<typeof networkingSelector>;

/** Selects workloads by labels (security, telemetry, DestinationRule and the rest). */
export const workloadSelector = obj({ matchLabels: map(str({ maxLength: 63 }), { maxProperties: 4096 }) });
export type WorkloadSelector = Infer<typeof workloadSelector>;

/** An object that a policy is attached to instead of selecting workloads. */
export const targetReference = obj({ group: str({ maxLength: 253, pattern: '^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$' }), kind: req(str({ minLength: 1, maxLength: 63, pattern: '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$' })), name: req(str({ minLength: 1, maxLength: 253 })), namespace: str() });
export type TargetReference = Infer<typeof targetReference>;

/** The `exportTo` lists: `.` own namespace, `*` everyone, `~` no one, or a namespace. */
export const exportTo = list(str());

/** `google.protobuf.UInt32Value`. */
export function uintValue(): Of<number | null> {
  return having(uint() as Of<number | null>, { nullable: true });
}

/** Settings of connections to, or into, a workload. @see https://istio.io/latest/docs/reference/config/networking/destination-rule/#ConnectionPoolSettings */
export const connectionPool = obj({
  tcp: obj({
    /** Default 2^32-1; 0 means default. */
    maxConnections: int(),
    /** Default 10s. */
    connectTimeout: duration(),
    tcpKeepalive: obj({ probes: uint(), time: duration(), interval: duration() }),
    maxConnectionDuration: duration(),
    /** Default 1h; 0s disables. */
    idleTimeout: durationOrZero(),
  }),
  http: obj({
    http1MaxPendingRequests: int(),
    http2MaxRequests: int(),
    /** 0 means unlimited. */
    maxRequestsPerConnection: int(),
    maxRetries: int(),
    /** Default 1h. */
    idleTimeout: duration(),
    h2UpgradePolicy: oneOf('DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'),
    useClientProtocol: bool(),
    maxConcurrentStreams: int(),
    http2KeepAlive: obj({ interval: duration(), timeout: duration() }),
  }),
});
export type ConnectionPoolSettings = Infer<typeof connectionPool>;

/** When endpoints are taken out of the load balancing set. @see https://istio.io/latest/docs/reference/config/networking/destination-rule/#OutlierDetection */
export const outlierDetection = obj({
  /** Deprecated. */
  consecutiveErrors: int(),
  splitExternalLocalOriginErrors: bool(),
  /** Default 5. */
  consecutiveLocalOriginFailures: uintValue(),
  /** Off unless set. */
  consecutiveGatewayErrors: uintValue(),
  /** Default 5; 0 disables. */
  consecutive5xxErrors: uintValue(),
  /** Default 10s. */
  interval: duration(),
  /** Default 30s. */
  baseEjectionTime: duration(),
  /** Default 10. */
  maxEjectionPercent: int(),
  /** Default 0. */
  minHealthPercent: int(),
  outlierDetectionHttpErrorCodes: list(int({ minimum: 100, maximum: 599 })),
});
export type OutlierDetection = Infer<typeof outlierDetection>;

/** Locality weighted and failover load balancing. @see https://istio.io/latest/docs/reference/config/networking/destination-rule/#LocalityLoadBalancerSetting */
export const localityLbSetting = obj({
  distribute: list(obj({ from: str(), to: map(uint()) })),
  failover: list(obj({ from: str(), to: str() })),
  failoverPriority: list(str()),
  enabled: bool({ nullable: true }),
});
export type LocalityLoadBalancerSetting = Infer<typeof localityLbSetting>;

/** Zone aware load balancing. */
export const zoneAwareLbSetting = obj({
  enabled: bool({ nullable: true }),
  failover: list(obj({ from: str(), to: str() })),
  failoverPriority: list(str()),
  minClusterSize: int64({ minimum: 1, maximum: 4_294_967_295, nullable: true }),
});
export type ZoneAwareLoadBalancerSetting = Infer<typeof zoneAwareLbSetting>;

/** How a client speaks TLS upstream. @see https://istio.io/latest/docs/reference/config/networking/destination-rule/#ClientTLSSettings */
export const clientTls = obj({
  mode: oneOf('DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'),
  clientCertificate: str(),
  privateKey: str(),
  caCertificates: str(),
  credentialName: str(),
  subjectAltNames: list(str()),
  sni: str(),
  insecureSkipVerify: bool({ nullable: true }),
  caCrl: str(),
});
export type ClientTLSSettings = Infer<typeof clientTls>;

const tlsVersion = oneOf('TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3');
/** How a server speaks TLS. @see https://istio.io/latest/docs/reference/config/networking/gateway/#ServerTLSSettings */
export const serverTls = obj({
  httpsRedirect: bool(),
  mode: oneOf('PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'),
  serverCertificate: str(),
  privateKey: str(),
  caCertificates: str(),
  caCrl: str(),
  credentialName: str(),
  credentialNames: list(str(), {}, { minItems: 1, maxItems: 2 }),
  caCertCredentialName: str(),
  tlsCertificates: list(obj({ serverCertificate: str(), privateKey: str(), caCertificates: str() }), {}, { minItems: 1, maxItems: 2 }),
  subjectAltNames: list(str()),
  verifyCertificateSpki: list(str()),
  verifyCertificateHash: list(str()),
  minProtocolVersion: tlsVersion,
  maxProtocolVersion: tlsVersion,
  cipherSuites: list(str()),
  ecdhCurves: list(str()),
});
export type ServerTLSSettings = Infer<typeof serverTls>;

/** When a failed request is tried again. @see https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRetry */
export const httpRetry = obj({
  /** 0 switches retries off. */
  attempts: int(),
  perTryTimeout: duration(),
  /** Comma separated Envoy conditions and status codes. */
  retryOn: str(),
  retryRemoteLocalities: bool({ nullable: true }),
  /** Default true. */
  retryIgnorePreviousHosts: bool({ nullable: true }),
  /** Base interval, default 25ms. */
  backoff: duration(),
});
export type HTTPRetry = Infer<typeof httpRetry>;

/** What the control plane says about an object. @see https://istio.io/latest/docs/reference/config/meta/v1beta1/istio-status/ */
export const istioStatus = obj(
  {
    conditions: list(
      obj({ type: str(), status: str(), lastProbeTime: time(), lastTransitionTime: time(), reason: str(), message: str(), observedGeneration: int64() }),
    ),
    validationMessages: list(anyObject()),
    observedGeneration: int64(),
  },
  { 'x-kubernetes-preserve-unknown-fields': true },
);
export type IstioStatus = Infer<typeof istioStatus>;

/** Raw bytes or text of a direct response. */
export const httpBody = obj({ string: str(), bytes: bytes() });
