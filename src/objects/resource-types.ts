/** One constant per kind for building URLs. Nothing else is imported with them: schemas stay in `registry.ts`. */
import type { ResourceType } from './kind.ts';

const type = (group: string, version: string, kind: string, plural: string, namespaced = true): ResourceType => ({ group, version, kind, plural, namespaced });

/** Namespace. */
export const NAMESPACE = type('', 'v1', 'Namespace', 'namespaces', false);
/** Node. */
export const NODE = type('', 'v1', 'Node', 'nodes', false);
/** Pod. */
export const POD = type('', 'v1', 'Pod', 'pods');
/** Service. */
export const SERVICE = type('', 'v1', 'Service', 'services');
/** Endpoints. */
export const ENDPOINTS = type('', 'v1', 'Endpoints', 'endpoints');
/** ServiceAccount. */
export const SERVICE_ACCOUNT = type('', 'v1', 'ServiceAccount', 'serviceaccounts');
/** Secret. */
export const SECRET = type('', 'v1', 'Secret', 'secrets');
/** ConfigMap. */
export const CONFIG_MAP = type('', 'v1', 'ConfigMap', 'configmaps');
/** Event. */
export const EVENT = type('', 'v1', 'Event', 'events');
/** EndpointSlice (discovery.k8s.io). */
export const ENDPOINT_SLICE = type('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices');
/** Deployment (apps). */
export const DEPLOYMENT = type('apps', 'v1', 'Deployment', 'deployments');
/** ReplicaSet (apps). */
export const REPLICA_SET = type('apps', 'v1', 'ReplicaSet', 'replicasets');
/** ReplicationController. */
export const REPLICATION_CONTROLLER = type('', 'v1', 'ReplicationController', 'replicationcontrollers');
/** StatefulSet (apps). */
export const STATEFUL_SET = type('apps', 'v1', 'StatefulSet', 'statefulsets');
/** DaemonSet (apps). */
export const DAEMON_SET = type('apps', 'v1', 'DaemonSet', 'daemonsets');
/** ControllerRevision (apps). */
export const CONTROLLER_REVISION = type('apps', 'v1', 'ControllerRevision', 'controllerrevisions');
/** Job (batch). */
export const JOB = type('batch', 'v1', 'Job', 'jobs');
/** CronJob (batch). */
export const CRON_JOB = type('batch', 'v1', 'CronJob', 'cronjobs');
/** PodDisruptionBudget (policy). */
export const POD_DISRUPTION_BUDGET = type('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets');
/** HorizontalPodAutoscaler (autoscaling). */
export const HORIZONTAL_POD_AUTOSCALER = type('autoscaling', 'v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers');
/** PersistentVolumeClaim. */
export const PERSISTENT_VOLUME_CLAIM = type('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims');
/** PersistentVolume. */
export const PERSISTENT_VOLUME = type('', 'v1', 'PersistentVolume', 'persistentvolumes', false);
/** StorageClass (storage.k8s.io). */
export const STORAGE_CLASS = type('storage.k8s.io', 'v1', 'StorageClass', 'storageclasses', false);
/** CertificateSigningRequest (certificates.k8s.io). */
export const CERTIFICATE_SIGNING_REQUEST = type('certificates.k8s.io', 'v1', 'CertificateSigningRequest', 'certificatesigningrequests', false);
/** NetworkPolicy (networking.k8s.io). */
export const NETWORK_POLICY = type('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies');
/** LimitRange. */
export const LIMIT_RANGE = type('', 'v1', 'LimitRange', 'limitranges');
/** ResourceQuota. */
export const RESOURCE_QUOTA = type('', 'v1', 'ResourceQuota', 'resourcequotas');
/** PriorityClass (scheduling.k8s.io). */
export const PRIORITY_CLASS = type('scheduling.k8s.io', 'v1', 'PriorityClass', 'priorityclasses', false);
/** Ingress (networking.k8s.io). */
export const INGRESS = type('networking.k8s.io', 'v1', 'Ingress', 'ingresses');
/** IngressClass (networking.k8s.io). */
export const INGRESS_CLASS = type('networking.k8s.io', 'v1', 'IngressClass', 'ingressclasses', false);
/** MutatingWebhookConfiguration (admissionregistration.k8s.io). */
export const MUTATING_WEBHOOK_CONFIGURATION = type('admissionregistration.k8s.io', 'v1', 'MutatingWebhookConfiguration', 'mutatingwebhookconfigurations', false);
/** ValidatingWebhookConfiguration (admissionregistration.k8s.io). */
export const VALIDATING_WEBHOOK_CONFIGURATION = type('admissionregistration.k8s.io', 'v1', 'ValidatingWebhookConfiguration', 'validatingwebhookconfigurations', false);
/** CustomResourceDefinition (apiextensions.k8s.io). */
export const CUSTOM_RESOURCE_DEFINITION = type('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions', false);
/** TokenReview (authentication.k8s.io). */
export const TOKEN_REVIEW = type('authentication.k8s.io', 'v1', 'TokenReview', 'tokenreviews', false);
/** Lease (coordination.k8s.io). */
export const LEASE = type('coordination.k8s.io', 'v1', 'Lease', 'leases');
/** Role (rbac.authorization.k8s.io). */
export const ROLE = type('rbac.authorization.k8s.io', 'v1', 'Role', 'roles');
/** RoleBinding (rbac.authorization.k8s.io). */
export const ROLE_BINDING = type('rbac.authorization.k8s.io', 'v1', 'RoleBinding', 'rolebindings');
/** ClusterRole (rbac.authorization.k8s.io). */
export const CLUSTER_ROLE = type('rbac.authorization.k8s.io', 'v1', 'ClusterRole', 'clusterroles', false);
/** ClusterRoleBinding (rbac.authorization.k8s.io). */
export const CLUSTER_ROLE_BINDING = type('rbac.authorization.k8s.io', 'v1', 'ClusterRoleBinding', 'clusterrolebindings', false);
/** VirtualService (networking.istio.io). */
export const VIRTUAL_SERVICE = type('networking.istio.io', 'v1', 'VirtualService', 'virtualservices');
/** DestinationRule (networking.istio.io). */
export const DESTINATION_RULE = type('networking.istio.io', 'v1', 'DestinationRule', 'destinationrules');
/** Gateway (networking.istio.io). */
export const GATEWAY = type('networking.istio.io', 'v1', 'Gateway', 'gateways');
/** ServiceEntry (networking.istio.io). */
export const SERVICE_ENTRY = type('networking.istio.io', 'v1', 'ServiceEntry', 'serviceentries');
/** Sidecar (networking.istio.io). */
export const SIDECAR = type('networking.istio.io', 'v1', 'Sidecar', 'sidecars');
/** WorkloadEntry (networking.istio.io). */
export const WORKLOAD_ENTRY = type('networking.istio.io', 'v1', 'WorkloadEntry', 'workloadentries');
/** WorkloadGroup (networking.istio.io). */
export const WORKLOAD_GROUP = type('networking.istio.io', 'v1', 'WorkloadGroup', 'workloadgroups');
/** EnvoyFilter (networking.istio.io). */
export const ENVOY_FILTER = type('networking.istio.io', 'v1alpha3', 'EnvoyFilter', 'envoyfilters');
/** ProxyConfig (networking.istio.io). */
export const PROXY_CONFIG = type('networking.istio.io', 'v1beta1', 'ProxyConfig', 'proxyconfigs');
/** PeerAuthentication (security.istio.io). */
export const PEER_AUTHENTICATION = type('security.istio.io', 'v1', 'PeerAuthentication', 'peerauthentications');
/** RequestAuthentication (security.istio.io). */
export const REQUEST_AUTHENTICATION = type('security.istio.io', 'v1', 'RequestAuthentication', 'requestauthentications');
/** AuthorizationPolicy (security.istio.io). */
export const AUTHORIZATION_POLICY = type('security.istio.io', 'v1', 'AuthorizationPolicy', 'authorizationpolicies');
/** Telemetry (telemetry.istio.io). */
export const TELEMETRY = type('telemetry.istio.io', 'v1', 'Telemetry', 'telemetries');
/** WasmPlugin (extensions.istio.io). */
export const WASM_PLUGIN = type('extensions.istio.io', 'v1alpha1', 'WasmPlugin', 'wasmplugins');
/** TrafficExtension (extensions.istio.io). */
export const TRAFFIC_EXTENSION = type('extensions.istio.io', 'v1alpha1', 'TrafficExtension', 'trafficextensions');
/** IstioOperator (install.istio.io); a file format, not served. */
export const ISTIO_OPERATOR = type('install.istio.io', 'v1alpha1', 'IstioOperator', 'istiooperators');
/** GatewayClass (gateway.networking.k8s.io). */
export const GATEWAY_CLASS = type('gateway.networking.k8s.io', 'v1', 'GatewayClass', 'gatewayclasses', false);
/** Gateway of Gateway API (gateway.networking.k8s.io), not Istio's. */
export const KUBERNETES_GATEWAY = type('gateway.networking.k8s.io', 'v1', 'Gateway', 'gateways');
/** ListenerSet (gateway.networking.k8s.io). */
export const LISTENER_SET = type('gateway.networking.k8s.io', 'v1', 'ListenerSet', 'listenersets');
/** XListenerSet (gateway.networking.x-k8s.io): ListenerSet before it was stable. */
export const X_LISTENER_SET = type('gateway.networking.x-k8s.io', 'v1alpha1', 'XListenerSet', 'xlistenersets');
/** HTTPRoute (gateway.networking.k8s.io). */
export const HTTP_ROUTE = type('gateway.networking.k8s.io', 'v1', 'HTTPRoute', 'httproutes');
/** GRPCRoute (gateway.networking.k8s.io). */
export const GRPC_ROUTE = type('gateway.networking.k8s.io', 'v1', 'GRPCRoute', 'grpcroutes');
/** TLSRoute (gateway.networking.k8s.io). */
export const TLS_ROUTE = type('gateway.networking.k8s.io', 'v1', 'TLSRoute', 'tlsroutes');
/** TCPRoute (gateway.networking.k8s.io). */
export const TCP_ROUTE = type('gateway.networking.k8s.io', 'v1', 'TCPRoute', 'tcproutes');
/** UDPRoute (gateway.networking.k8s.io). */
export const UDP_ROUTE = type('gateway.networking.k8s.io', 'v1', 'UDPRoute', 'udproutes');
/** ReferenceGrant (gateway.networking.k8s.io). */
export const REFERENCE_GRANT = type('gateway.networking.k8s.io', 'v1beta1', 'ReferenceGrant', 'referencegrants');
/** BackendTLSPolicy (gateway.networking.k8s.io). */
export const BACKEND_TLS_POLICY = type('gateway.networking.k8s.io', 'v1', 'BackendTLSPolicy', 'backendtlspolicies');
/** XBackendTrafficPolicy (gateway.networking.x-k8s.io). */
export const X_BACKEND_TRAFFIC_POLICY = type('gateway.networking.x-k8s.io', 'v1alpha1', 'XBackendTrafficPolicy', 'xbackendtrafficpolicies');
/** XBackend (gateway.networking.x-k8s.io). */
export const X_BACKEND = type('gateway.networking.x-k8s.io', 'v1alpha1', 'XBackend', 'xbackends');
/** Ingress of the group it had before 1.14 (extensions). */
export const EXTENSIONS_INGRESS = type('extensions', 'v1beta1', 'Ingress', 'ingresses');
/** MeshPolicy (authentication.istio.io), gone from Istio since 1.6. */
export const MESH_POLICY = type('authentication.istio.io', 'v1alpha1', 'MeshPolicy', 'meshpolicies', false);
/** Policy (authentication.istio.io), gone from Istio since 1.6. */
export const AUTHENTICATION_POLICY = type('authentication.istio.io', 'v1alpha1', 'Policy', 'policies');
/** ServiceRole (rbac.istio.io), gone from Istio since 1.6. */
export const SERVICE_ROLE = type('rbac.istio.io', 'v1alpha1', 'ServiceRole', 'serviceroles');
/** ServiceRoleBinding (rbac.istio.io), gone from Istio since 1.6. */
export const SERVICE_ROLE_BINDING = type('rbac.istio.io', 'v1alpha1', 'ServiceRoleBinding', 'servicerolebindings');
/** RbacConfig (rbac.istio.io), gone from Istio since 1.1. */
export const RBAC_CONFIG = type('rbac.istio.io', 'v1alpha1', 'RbacConfig', 'rbacconfigs');
/** ClusterRbacConfig (rbac.istio.io), gone from Istio since 1.6. */
export const CLUSTER_RBAC_CONFIG = type('rbac.istio.io', 'v1alpha1', 'ClusterRbacConfig', 'clusterrbacconfigs', false);
/** TrafficSplit (split.smi-spec.io). */
export const TRAFFIC_SPLIT = type('split.smi-spec.io', 'v1alpha4', 'TrafficSplit', 'trafficsplits');
/** HTTPRouteGroup (specs.smi-spec.io). */
export const SMI_HTTP_ROUTE_GROUP = type('specs.smi-spec.io', 'v1alpha4', 'HTTPRouteGroup', 'httproutegroups');
/** TCPRoute of SMI (specs.smi-spec.io), not Gateway API's. */
export const SMI_TCP_ROUTE = type('specs.smi-spec.io', 'v1alpha4', 'TCPRoute', 'tcproutes');
/** UDPRoute of SMI (specs.smi-spec.io), not Gateway API's. */
export const SMI_UDP_ROUTE = type('specs.smi-spec.io', 'v1alpha4', 'UDPRoute', 'udproutes');
/** TrafficTarget (access.smi-spec.io). */
export const TRAFFIC_TARGET = type('access.smi-spec.io', 'v1alpha3', 'TrafficTarget', 'traffictargets');
