// Template `gateway`: the pod is the proxy. And `grpc-simple`: no proxy, only a bootstrap file for gRPC's own xDS client.
import { canonicalLabels, appContainers, type TemplateInput, type TemplateResult } from './template-input.ts';
import { proxyContainer, proxyVolumes, pullSecrets } from './template-proxy.ts';
import type { JsonObject } from './types.ts';

/** Renders `gateway`. */
export function renderGateway(input: TemplateInput): TemplateResult {
  const { gateways } = input.context.values;
  const own = gateways?.securityContext ?? {};
  const seccomp = gateways?.seccompProfile ?? {};
  const first = appContainers(input);
  const annotations: Record<string, string> = { 'istio.io/rev': input.context.revision || 'default' };
  if (first.length === 1)
    for (const name of ['kubectl.kubernetes.io/default-logs-container', 'kubectl.kubernetes.io/default-container'])
      if (!Object.hasOwn(input.annotations, name)) annotations[name] = first[0]!;
  return {
    labels: canonicalLabels(input),
    annotations,
    spec: {
      // Gateways listen on 80 and 443 without being root.
      securityContext: Object.keys(own).length > 0 ? own : { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }], ...(Object.keys(seccomp).length > 0 ? { seccompProfile: seccomp } : {}) },
      containers: [{ ...proxyContainer(input, 'router'), ...(Object.keys(own).length > 0 ? {} : { securityContext: { runAsUser: input.proxyUid, runAsGroup: input.proxyGid } }) }],
      volumes: proxyVolumes(input, 'router'),
      ...pullSecrets(input),
    },
  };
}

/** Renders `grpc-simple`. */
export function renderGrpcSimple(input: TemplateInput): TemplateResult {
  const mount: JsonObject = { mountPath: '/var/lib/grpc/data/', name: 'grpc-io-proxyless-bootstrap' };
  const field = (name: string, fieldPath: string): JsonObject => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return {
    labels: {},
    annotations: { 'sidecar.istio.io/rewriteAppHTTPProbers': 'false' },
    spec: {
      initContainers: [{
        name: 'grpc-bootstrap-init', image: 'busybox:1.28', command: ['sh', '-c', GRPC_BOOTSTRAP_SCRIPT], volumeMounts: [mount],
        env: [
          field('INSTANCE_IP', 'status.podIP'), field('POD_NAME', 'metadata.name'), field('POD_NAMESPACE', 'metadata.namespace'),
          { name: 'ISTIO_NAMESPACE', value: `${input.context.values.global?.istioNamespace ?? 'istio-system'}\n` },
        ],
      }],
      containers: (input.pod.spec?.containers ?? []).map(({ name }) => ({
        name, volumeMounts: [mount],
        env: [
          { name: 'GRPC_XDS_BOOTSTRAP', value: '/var/lib/grpc/data/bootstrap.json' },
          { name: 'GRPC_GO_LOG_VERBOSITY_LEVEL', value: '99' }, { name: 'GRPC_GO_LOG_SEVERITY_LEVEL', value: 'info' },
        ],
      })),
      volumes: [{ name: 'grpc-io-proxyless-bootstrap', emptyDir: {} }],
    },
  };
}

/** Writes the bootstrap file of gRPC's xDS client. The text is part of the injected pod, so it is kept as Istio writes it. */
const GRPC_BOOTSTRAP_SCRIPT = [
  'NODE_ID="sidecar~${INSTANCE_IP}~${POD_NAME}.${POD_NAMESPACE}~cluster.local"',
  'SERVER_URI="dns:///istiod.${ISTIO_NAMESPACE}.svc:15010"',
  "echo '",
  '{',
  '  "xds_servers": [',
  '    {',
  '      "server_uri": "\'${SERVER_URI}\'",',
  '      "channel_creds": [{"type": "insecure"}],',
  '      "server_features" : ["xds_v3"]',
  '    }',
  '  ],',
  '  "node": {',
  '    "id": "\'${NODE_ID}\'",',
  '    "metadata": {',
  '      "GENERATOR": "grpc"',
  '    }',
  '  }',
  "}' > /var/lib/grpc/data/bootstrap.json",
].join('\n');
