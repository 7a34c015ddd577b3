// The istio-proxy container and its volumes: shared by sidecars and gateways.
import { annotated, appContainers, imageOf, installedImage, logLevelArgs, proxyValues, pullPolicy, resources, statusPort, type TemplateInput } from './template-input.ts';
import type { Container, Json, JsonObject } from './types.ts';

const field = (name: string, fieldPath: string): JsonObject => ({ name, valueFrom: { fieldRef: { fieldPath } } });
const limit = (name: string, resource: string): JsonObject => ({ name, valueFrom: { resourceFieldRef: { resource, divisor: '1' } } });

/** Arguments of `pilot-agent`, for `sidecar` or `router`. */
export function proxyArgs(input: TemplateInput, role: 'sidecar' | 'router'): string[] {
  const values = proxyValues(input);
  const { sts, logAsJson } = input.context.values.global ?? {};
  const args = [
    'proxy', role, '--domain', `$(POD_NAMESPACE).svc.${values.clusterDomain ?? 'cluster.local'}`,
    `--proxyLogLevel=${annotated(input, 'sidecar.istio.io/logLevel', values.logLevel ?? 'warning')}`,
    `--proxyComponentLogLevel=${annotated(input, 'sidecar.istio.io/componentLogLevel', values.componentLogLevel ?? 'misc:error')}`,
    ...logLevelArgs(input),
  ];
  if (sts?.servicePort) args.push(`--stsPort=${sts.servicePort}`);
  if (logAsJson) args.push('--log_as_json');
  if (values.outlierLogPath) args.push(`--outlierLogPath=${values.outlierLogPath}`);
  return args;
}

/** Environment of the proxy container. */
export function proxyEnv(input: TemplateInput, role: 'sidecar' | 'router'): JsonObject[] {
  const { context, owner } = input;
  const global = context.values.global ?? {};
  const revision = context.values.revision ?? '';
  const trustDomain = context.meshConfig.trustDomain || global.trustDomain || 'cluster.local';
  const meshId = global.meshID || trustDomain;
  const policy = context.env?.['COMPLIANCE_POLICY'] ?? '';
  const env: JsonObject[] = [];
  if (context.meshConfig.inboundTrafficPolicy?.mode === 'LOCALHOST') env.push({ name: 'REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION', value: 'true' });
  env.push(
    { name: 'PILOT_CERT_PROVIDER', value: global.pilotCertProvider ?? 'istiod' },
    { name: 'CA_ADDR', value: global.caAddress || `istiod${revision === '' ? '' : `-${revision}`}.${global.istioNamespace ?? 'istio-system'}.svc:15012` },
    field('POD_NAME', 'metadata.name'), field('POD_NAMESPACE', 'metadata.namespace'), field('INSTANCE_IP', 'status.podIP'),
    field('SERVICE_ACCOUNT', 'spec.serviceAccountName'), field('HOST_IP', 'status.hostIP'), limit('ISTIO_CPU_LIMIT', 'limits.cpu'),
    { name: 'PROXY_CONFIG', value: `${JSON.stringify(input.proxyConfig.own)}\n` },
    { name: 'ISTIO_META_POD_PORTS', value: podPorts(input) },
    plain('ISTIO_META_APP_CONTAINERS', appContainers(input).join(',')),
    limit('GOMEMLIMIT', 'limits.memory'),
  );
  if (policy !== '') env.push({ name: 'COMPLIANCE_POLICY', value: policy }, ...(policy === 'fips-140-3' ? [{ name: 'GODEBUG', value: 'fips140=only' }] : []));
  env.push(
    { name: 'ISTIO_META_CLUSTER_ID', value: global.multiCluster?.clusterName || 'Kubernetes' },
    field('ISTIO_META_NODE_NAME', 'spec.nodeName'),
    { name: 'ISTIO_META_INTERCEPTION_MODE', value: (role === 'sidecar' && input.annotations['sidecar.istio.io/interceptionMode']) || input.proxyConfig.interceptionMode },
  );
  if (owner.name !== '') {
    env.push({ name: 'ISTIO_META_WORKLOAD_NAME', value: owner.name });
    if (owner.apiVersion !== '')
      env.push({ name: 'ISTIO_META_OWNER', value: `kubernetes://apis/${owner.apiVersion}/namespaces/${owner.namespace}/${owner.kind.toLowerCase()}s/${owner.name}` });
  }
  if (role === 'sidecar' && Object.hasOwn(input.annotations, 'sidecar.istio.io/bootstrapOverride')) env.push({ name: 'ISTIO_BOOTSTRAP_OVERRIDE', value: '/etc/istio/custom-bootstrap/custom_bootstrap.json' });
  env.push({ name: 'ISTIO_META_MESH_ID', value: meshId }, { name: 'TRUST_DOMAIN', value: trustDomain });
  if (role === 'sidecar') env.push(...datadogEnv(input));
  return [...env, ...metadataEnv(input)];
}

/** Datadog's tracer is set up by variables the pod names. */
function datadogEnv(input: TemplateInput): JsonObject[] {
  if (proxyValues(input).tracer !== 'datadog') return [];
  return Object.entries(jsonMap(input, 'apm.datadoghq.com/env')).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => ({ name, value: typeof value === 'string' ? value : JSON.stringify(value) }));
}

/** An annotation that holds a JSON map; anything else counts as an empty one. */
function jsonMap(input: TemplateInput, annotation: string): JsonObject {
  if (!Object.hasOwn(input.annotations, annotation)) return {};
  try {
    const value: unknown = JSON.parse(input.annotations[annotation]!);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
  } catch {
    return {};
  }
}

/** Where the certificates of a Lightstep collector with TLS are mounted. */
function lightstepDirectory(input: TemplateInput): string | undefined {
  const tracing = input.proxyConfig.own['tracing'] as { readonly tlsSettings?: { readonly caCertificates?: string } } | undefined;
  if (proxyValues(input).tracer !== 'lightstep' || !tracing?.tlsSettings) return undefined;
  return (tracing.tlsSettings.caCertificates ?? '').replace(/[^/]*$/, '');
}

function plain(name: string, value: string): JsonObject {
  return value === '' ? { name } : { name, value };
}

/** `proxyMetadata` as environment; istio-init gets it too. */
export function metadataEnv(input: TemplateInput): JsonObject[] {
  return Object.entries(input.proxyConfig.proxyMetadata).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => ({ name, value }));
}

function podPorts(input: TemplateInput): string {
  const ports = (input.pod.spec?.containers ?? []).flatMap((container) => (container['ports'] as readonly Json[] | undefined) ?? []);
  return `[\n${ports.map((port, index) => `    ${index === 0 ? '' : ','}${JSON.stringify(port)}\n`).join('')}]`;
}

/** Readiness through the proxy's own 15021, which says ready only once configuration and certificates have arrived. */
export function readinessProbe(input: TemplateInput): JsonObject {
  const values = proxyValues(input);
  const setting = (name: string, value: number | undefined): number => Number(annotated(input, `readiness.status.sidecar.istio.io/${name}`, value ?? 0));
  const initialDelaySeconds = setting('initialDelaySeconds', values.readinessInitialDelaySeconds);
  return {
    httpGet: { path: '/healthz/ready', port: 15021 },
    ...(initialDelaySeconds === 0 ? {} : { initialDelaySeconds }),
    periodSeconds: setting('periodSeconds', values.readinessPeriodSeconds ?? 15), timeoutSeconds: 3,
    failureThreshold: setting('failureThreshold', values.readinessFailureThreshold ?? 4),
  };
}

/** The container without what differs between sidecar and gateway. */
export function proxyContainer(input: TemplateInput, role: 'sidecar' | 'router'): Container {
  const values = proxyValues(input);
  return {
    name: 'istio-proxy',
    // A gateway's image is the installation's, unless that is a whole reference.
    image: role === 'router' && !values.image?.includes('/') ? installedImage(input) : imageOf(input, values.image),
    ...pullPolicy(input),
    ports: [{ containerPort: 15090, protocol: 'TCP', name: 'http-envoy-prom' }],
    args: proxyArgs(input, role),
    env: proxyEnv(input, role),
    ...(role === 'sidecar' && statusPort(input) === '0' ? {} : { readinessProbe: readinessProbe(input) }),
    ...(role === 'sidecar' ? { resources: resources(input) } : {}),
    volumeMounts: volumeMounts(input, role),
  };
}

/** `caName` of the authority whose certificates a CSI driver mounts. */
const GKE = 'GkeWorkloadCertificate';

function volumeMounts(input: TemplateInput, role: 'sidecar' | 'router'): JsonObject[] {
  const { mountMtlsCerts, pilotCertProvider, caName } = input.context.values.global ?? {};
  const mounts: JsonObject[] = [
    { name: 'workload-socket', mountPath: '/var/run/secrets/workload-spiffe-uds' },
    { name: 'credential-socket', mountPath: '/var/run/secrets/credential-uds' },
    caName === GKE ? { name: 'gke-workload-certificate', mountPath: '/var/run/secrets/workload-spiffe-credentials', readOnly: true } : { name: 'workload-certs', mountPath: '/var/run/secrets/workload-spiffe-credentials' },
  ];
  if ((pilotCertProvider ?? 'istiod') === 'istiod') {
    mounts.push({ name: 'istiod-ca-cert', mountPath: '/var/run/secrets/istio' });
    if (role === 'sidecar') mounts.push({ name: 'istio-ca-crl', mountPath: '/var/run/secrets/istio/crl' });
  }
  mounts.push({ name: 'istio-data', mountPath: '/var/lib/istio/data' });
  if (role === 'sidecar' && Object.hasOwn(input.annotations, 'sidecar.istio.io/bootstrapOverride')) mounts.push({ name: 'custom-bootstrap-volume', mountPath: '/etc/istio/custom-bootstrap' });
  mounts.push({ name: 'istio-envoy', mountPath: '/etc/istio/proxy' }, { name: 'istio-token', mountPath: '/var/run/secrets/tokens' });
  if (mountMtlsCerts) mounts.push({ name: 'istio-certs', mountPath: '/etc/certs/', readOnly: true });
  mounts.push({ name: 'istio-podinfo', mountPath: '/etc/istio/pod' });
  const lightstep = role === 'sidecar' ? lightstepDirectory(input) : undefined;
  if (lightstep !== undefined) mounts.push({ name: 'lightstep-certs', mountPath: lightstep, readOnly: true });
  if (role === 'sidecar') for (const [name, mount] of jsonEntries(input, 'sidecar.istio.io/userVolumeMount')) mounts.push({ name, ...mount });
  return mounts;
}

/** Volumes of the proxy container. */
export function proxyVolumes(input: TemplateInput, role: 'sidecar' | 'router'): JsonObject[] {
  const { mountMtlsCerts, pilotCertProvider, sds, caName } = input.context.values.global ?? {};
  const info = (path: string): JsonObject => ({ path, fieldRef: { fieldPath: `metadata.${path}` } });
  const volumes: JsonObject[] = ['workload-socket', 'credential-socket', ...(caName === GKE ? [] : ['workload-certs'])].map((name) => ({ name, emptyDir: {} }));
  if (caName === GKE) volumes.push({ name: 'gke-workload-certificate', csi: { driver: 'workloadcertificates.security.cloud.google.com' } });
  const override = input.annotations['sidecar.istio.io/bootstrapOverride'];
  if (role === 'sidecar' && override !== undefined) volumes.push({ name: 'custom-bootstrap-volume', configMap: { name: override } });
  volumes.push(
    { name: 'istio-envoy', emptyDir: { medium: 'Memory' } },
    { name: 'istio-data', emptyDir: {} },
    { name: 'istio-podinfo', downwardAPI: { items: [info('labels'), info('annotations')] } },
    { name: 'istio-token', projected: { sources: [{ serviceAccountToken: { path: 'istio-token', expirationSeconds: 43200, audience: sds?.token?.aud ?? 'istio-ca' } }] } },
  );
  if ((pilotCertProvider ?? 'istiod') === 'istiod') {
    volumes.push({ name: 'istiod-ca-cert', configMap: { name: 'istio-ca-root-cert' } });
    if (role === 'sidecar') volumes.push({ name: 'istio-ca-crl', configMap: { name: 'istio-ca-crl', optional: true } });
  }
  const account = input.pod.spec?.['serviceAccountName'];
  if (mountMtlsCerts) volumes.push({ name: 'istio-certs', secret: { optional: true, secretName: `istio.${typeof account === 'string' && account !== '' ? account : 'default'}` } });
  if (role === 'sidecar' && lightstepDirectory(input) !== undefined) volumes.push({ name: 'lightstep-certs', secret: { optional: true, secretName: 'lightstep.cacert' } });
  if (role === 'sidecar') for (const [name, volume] of jsonEntries(input, 'sidecar.istio.io/userVolume')) volumes.push({ name, ...volume });
  return volumes;
}

function jsonEntries(input: TemplateInput, annotation: string): [string, JsonObject][] {
  // The annotation check has refused anything that is not a JSON map before a template runs.
  return Object.hasOwn(input.annotations, annotation) ? Object.entries(JSON.parse(input.annotations[annotation]!) as Record<string, JsonObject>) : [];
}

/** `imagePullSecrets` of the installation. */
export function pullSecrets(input: TemplateInput): JsonObject {
  const secrets = input.context.values.global?.imagePullSecrets ?? [];
  return secrets.length > 0 ? { imagePullSecrets: secrets.map((name) => ({ name })) } : {};
}
