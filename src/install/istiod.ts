/** Manifests of the control plane: account, roles, configuration, service and deployment. */
import { stringify } from 'yaml';
import type { KubeObject } from '../objects/meta.ts';
import { istiodRbac } from './rbac.ts';
import { valueAt, type Values } from './values.ts';

const LABELS = { app: 'istiod', istio: 'pilot' };

export interface IstiodOptions {
  readonly namespace: string;
  readonly values: Values;
  readonly meshConfig: Values;
}

export function istiodObjects(options: IstiodOptions): readonly KubeObject[] {
  const { namespace, values, meshConfig } = options;
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'istiod', namespace, labels: { app: 'istiod' } } },
    ...istiodRbac(namespace, signersOf(valueAt(values, 'pilot.env') as Readonly<Record<string, string>> | undefined)),
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace, labels: { 'istio.io/rev': 'default' } }, data: { mesh: stringify(meshConfig), meshNetworks: 'networks: {}' } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio-sidecar-injector', namespace, labels: { 'istio.io/rev': 'default' } }, data: { values: JSON.stringify(values, null, 2), config: 'policy: enabled\n' } },
    {
      apiVersion: 'v1', kind: 'Service', metadata: { name: 'istiod', namespace, labels: { ...LABELS, 'istio.io/rev': 'default' } },
      spec: {
        selector: LABELS,
        ports: [
          { name: 'grpc-xds', port: 15010, protocol: 'TCP' },
          { name: 'https-dns', port: 15012, protocol: 'TCP' },
          { name: 'https-webhook', port: 443, targetPort: 15017, protocol: 'TCP' },
          { name: 'http-monitoring', port: 15014, protocol: 'TCP' },
        ],
      },
    },
    istiodDeployment(namespace, `${String(valueAt(values, 'global.hub'))}/${String(valueAt(values, 'pilot.image'))}:${String(valueAt(values, 'global.tag'))}`, valueAt(values, 'pilot.env') as Readonly<Record<string, string>>),
  ] as readonly KubeObject[];
}

/** Signers of Kubernetes that the environment makes istiod use. @see programs/control-plane/ca-settings.ts */
function signersOf(env: Readonly<Record<string, string>> = {}): readonly string[] {
  if (env['EXTERNAL_CA'] !== 'ISTIOD_RA_KUBERNETES_API') return [];
  const provider = String(env['PILOT_CERT_PROVIDER'] ?? '');
  const domain = env['CERT_SIGNER_DOMAIN'];
  return [env['K8S_SIGNER'] ?? '', provider.startsWith('k8s.io/') ? provider.slice('k8s.io/'.length) : '', domain ? `${domain}/*` : ''].filter((name) => name !== '');
}

function istiodDeployment(namespace: string, image: string, extraEnv: Readonly<Record<string, string>> | undefined): KubeObject {
  const fromField = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } });
  return {
    apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'istiod', namespace, labels: { ...LABELS, 'istio.io/rev': 'default' } },
    spec: {
      replicas: 1,
      selector: { matchLabels: LABELS },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '100%', maxUnavailable: '25%' } },
      template: {
        metadata: { labels: { ...LABELS, 'istio.io/rev': 'default', 'sidecar.istio.io/inject': 'false' }, annotations: { 'prometheus.io/port': '15014', 'prometheus.io/scrape': 'true', 'sidecar.istio.io/inject': 'false' } },
        spec: {
          serviceAccountName: 'istiod',
          containers: [{
            name: 'discovery', image,
            args: ['discovery', '--monitoringAddr=:15014', '--log_output_level=default:info', '--domain', 'cluster.local', '--keepaliveMaxServerConnectionAge', '30m'],
            ports: [{ containerPort: 8080, name: 'http-debug', protocol: 'TCP' }, { containerPort: 15010, name: 'grpc-xds', protocol: 'TCP' }, { containerPort: 15012, name: 'tls-xds', protocol: 'TCP' }, { containerPort: 15017, name: 'https-webhooks', protocol: 'TCP' }, { containerPort: 15014, name: 'http-monitoring', protocol: 'TCP' }],
            readinessProbe: { httpGet: { path: '/ready', port: 8080 }, initialDelaySeconds: 0, periodSeconds: 1, timeoutSeconds: 5 },
            env: [
              { name: 'REVISION', value: 'default' }, ...(extraEnv?.['PILOT_CERT_PROVIDER'] === undefined ? [{ name: 'PILOT_CERT_PROVIDER', value: 'istiod' }] : []),
              fromField('POD_NAME', 'metadata.name'), fromField('POD_NAMESPACE', 'metadata.namespace'), fromField('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
              { name: 'CLUSTER_ID', value: 'Kubernetes' },
              ...Object.entries(extraEnv ?? {}).map(([name, value]) => ({ name, value: String(value) })),
            ],
            resources: { requests: { cpu: '10m', memory: '100Mi' } },
          }],
        },
      },
    },
  } as unknown as KubeObject;
}
