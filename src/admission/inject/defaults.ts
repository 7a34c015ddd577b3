import type { InjectionValues } from './types.ts';

/** Values of our own installation: images `docker.io/meltemi/proxyv2:<version>`, which the one-machine kubelet maps to the agent. */
export function defaultInjectionValues(version: string): InjectionValues {
  return {
    global: {
      istioNamespace: 'istio-system', hub: 'docker.io/meltemi', tag: version, imagePullPolicy: '', imagePullSecrets: [], logAsJson: false, logging: { level: 'default:info' },
      proxy: {
        image: 'proxyv2', autoInject: 'enabled', clusterDomain: 'cluster.local', componentLogLevel: 'misc:error', logLevel: 'warning', includeInboundPorts: '*', excludeInboundPorts: '',
        includeIPRanges: '*', excludeIPRanges: '', includeOutboundPorts: '', excludeOutboundPorts: '', privileged: false, readinessFailureThreshold: 4, readinessInitialDelaySeconds: 0,
        readinessPeriodSeconds: 15, startupProbe: { enabled: true, failureThreshold: 600 }, statusPort: 15020, tracer: 'none',
        resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '2000m', memory: '1024Mi' } },
      },
      proxy_init: { image: 'proxyv2' }, multiCluster: { clusterName: '' }, network: '', meshID: '', pilotCertProvider: 'istiod', sds: { token: { aud: 'istio-ca' } },
    },
    sidecarInjectorWebhook: { neverInjectSelector: [], alwaysInjectSelector: [], injectedAnnotations: {}, rewriteAppHTTPProbe: true, templates: {}, defaultTemplates: [] },
    revision: '',
    pilot: { cni: { enabled: false, provider: 'default' } },
  };
}
