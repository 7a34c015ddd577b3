/** VirtualServices and the gateways they name; Gateways and the pods they select. */
import type { Issue } from '../../base/issue.ts';
import type { Gateway } from '../../objects/istio/gateway.ts';
import type { VirtualService } from '../../objects/istio/virtual-service.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { hostMatches, type ObjectSet } from '../object-set.ts';
import { message } from '../message.ts';

export function analyzeVirtualServiceGateways(set: ObjectSet): readonly Issue[] {
  const issues: Issue[] = [];
  for (const service of set.of<VirtualService>('VirtualService')) {
    const namespace = service.metadata.namespace ?? '';
    for (const [index, reference] of (service.spec.gateways ?? []).entries()) {
      if (reference === 'mesh') continue;
      const gateway = set.gateway(reference, namespace);
      const path = `spec.gateways[${index}]`;
      if (!gateway) issues.push(message('IST0101', service, path, ['gateway', reference], 'name a Gateway as name or namespace/name'));
      if (!gateway || !(service.spec.hosts ?? []).every((host) => admits(gateway, host, namespace)))
        issues.push(message('IST0132', service, 'spec.hosts', [`[${(service.spec.hosts ?? []).join(' ')}]`, reference], `let a server of the Gateway take the host, or narrow spec.hosts`));
    }
  }
  return issues;
}

/** Some server of the gateway takes the host from rules of this namespace. */
function admits(gateway: Gateway, host: string, namespace: string): boolean {
  return (gateway.spec.servers ?? []).some((server) => (server.hosts ?? []).some((entry) => {
    const [scope, name] = entry.includes('/') ? (entry.split('/', 2) as [string, string]) : ['*', entry];
    const inScope = scope === '*' || (scope === '.' ? (gateway.metadata.namespace ?? '') === namespace : scope === namespace);
    return inScope && (hostMatches(name, host) || hostMatches(host, name));
  }));
}

/** Gateways whose selector finds no pod. Looked at only when there are pods at all: files alone say nothing about them. */
export function analyzeGatewaySelectors(set: ObjectSet): readonly Issue[] {
  const pods = set.of<Pod>('Pod');
  if (pods.length === 0) return [];
  const issues: Issue[] = [];
  for (const gateway of set.of<Gateway>('Gateway', 'networking.istio.io')) {
    const wanted = Object.entries(gateway.spec.selector ?? {});
    if (wanted.length === 0 || pods.some((pod) => wanted.every(([key, value]) => pod.metadata.labels?.[key] === value))) continue;
    issues.push(message('IST0101', gateway, 'spec.selector', ['selector', wanted.map(([key, value]) => `${key}=${value}`).join(',')], 'use the labels of your gateway pods; istioctl\'s and meltemi\'s ingress gateway has istio=ingressgateway'));
  }
  return issues;
}
