// The parts of Kubernetes and Helm data that injection looks at. Everything else passes through untouched.

/** Any JSON value; pods are kept as data so that fields we do not know survive. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** A container, with the fields injection reads by name. */
export interface Container extends JsonObject {
  readonly name: string;
  readonly image?: string;
}

export interface PodMeta extends JsonObject {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface PodSpec extends JsonObject {
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
}

/** A pod, or the pod template of a workload. */
export interface Pod extends JsonObject {
  readonly metadata?: PodMeta;
  readonly spec?: PodSpec;
}

/** The Helm values injection reads (`istio-sidecar-injector` ConfigMap); null means unset. */
export interface InjectionValues {
  readonly global?: {
    readonly istioNamespace?: string;
    readonly hub?: string;
    readonly tag?: string | number;
    readonly variant?: string;
    readonly imagePullPolicy?: string;
    readonly imagePullSecrets?: readonly string[];
    readonly logAsJson?: boolean;
    readonly nativeNftables?: boolean;
    readonly logging?: { readonly level?: string };
    readonly proxy?: ProxyValues;
    readonly proxy_init?: { readonly image?: string; readonly forceApplyIptables?: boolean };
    readonly caAddress?: string;
    readonly caName?: string;
    readonly meshID?: string;
    readonly trustDomain?: string;
    readonly mountMtlsCerts?: boolean;
    readonly multiCluster?: { readonly clusterName?: string };
    readonly network?: string;
    readonly pilotCertProvider?: string;
    readonly sds?: { readonly token?: { readonly aud?: string } };
    readonly sts?: { readonly servicePort?: number };
  };
  readonly sidecarInjectorWebhook?: {
    readonly neverInjectSelector?: readonly JsonObject[];
    readonly alwaysInjectSelector?: readonly JsonObject[];
    readonly injectedAnnotations?: Readonly<Record<string, string>>;
    readonly rewriteAppHTTPProbe?: boolean;
    readonly templates?: Readonly<Record<string, string>>;
    readonly defaultTemplates?: readonly string[];
  };
  readonly revision?: string;
  readonly pilot?: { readonly cni?: { readonly enabled?: boolean; readonly provider?: string }; readonly env?: Readonly<Record<string, string>> };
  readonly gateways?: { readonly securityContext?: JsonObject; readonly seccompProfile?: JsonObject };
}

export interface ProxyValues {
  readonly image?: string;
  readonly autoInject?: string;
  readonly clusterDomain?: string;
  readonly componentLogLevel?: string;
  readonly logLevel?: string;
  readonly includeInboundPorts?: string;
  readonly excludeInboundPorts?: string;
  readonly includeIPRanges?: string;
  readonly excludeIPRanges?: string;
  readonly includeOutboundPorts?: string;
  readonly excludeOutboundPorts?: string;
  readonly outlierLogPath?: string;
  readonly privileged?: boolean;
  readonly seccompProfile?: JsonObject;
  readonly readinessFailureThreshold?: number;
  readonly readinessInitialDelaySeconds?: number;
  readonly readinessPeriodSeconds?: number;
  readonly startupProbe?: { readonly enabled?: boolean; readonly failureThreshold?: number };
  readonly lifecycle?: JsonObject;
  readonly resources?: JsonObject;
  readonly statusPort?: number;
  readonly tracer?: string;
  readonly holdApplicationUntilProxyStarts?: boolean;
  readonly capNetBindService?: boolean | string;
}

/** The part of MeshConfig injection reads. */
export interface InjectionMeshConfig {
  readonly trustDomain?: string;
  /** Default `istio-system`. */
  readonly rootNamespace?: string;
  readonly proxyListenPort?: number;
  readonly proxyInboundListenPort?: number;
  readonly enablePrometheusMerge?: boolean;
  readonly inboundTrafficPolicy?: { readonly mode?: string };
  readonly defaultConfig?: JsonObject;
}

/** A ProxyConfig object, as far as injection reads it. */
export interface ProxyConfigObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly creationTimestamp?: string };
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly concurrency?: number | null;
    readonly environmentVariables?: Readonly<Record<string, string>>;
    readonly image?: { readonly imageType?: string };
  };
}

/** Everything injection knows beside the pod. */
export interface InjectionContext {
  readonly values: InjectionValues;
  readonly meshConfig: InjectionMeshConfig;
  /** Revision of the control plane that injects; empty is `default`. */
  readonly revision?: string;
  /** Put the proxy into an init container with `restartPolicy: Always`. A pod's annotation `sidecar.istio.io/nativeSidecar` wins. */
  readonly nativeSidecars?: boolean;
  /** Environment of the control plane that reaches pods (`COMPLIANCE_POLICY`). */
  readonly env?: Readonly<Record<string, string>>;
  /** ProxyConfig objects of all namespaces. Default none. */
  readonly proxyConfigs?: readonly ProxyConfigObject[];
  /** Annotations of the pod's namespace (OpenShift's user ranges). */
  readonly namespaceAnnotations?: Readonly<Record<string, string>>;
}

/** What controls the pod: the name and kind that metrics and access logs call the workload. */
export interface WorkloadOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}
