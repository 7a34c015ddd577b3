/** Routes by claims of a token that nobody validates at the gateway: they never match. */
import type { Issue } from '../../base/issue.ts';
import type { RequestAuthentication } from '../../objects/istio/request-authentication.ts';
import type { VirtualService } from '../../objects/istio/virtual-service.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { fullName, message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';
import { hasLabels } from '../selector.ts';

const CLAIMS = '@request.auth.claims';

export function analyzeJwtClaimRoutes(set: ObjectSet): readonly Issue[] {
  return set.of<VirtualService>('VirtualService').flatMap((service) => {
    const claim = claimOf(service);
    if (!claim) return [];
    return (service.spec.gateways ?? []).filter((name) => name !== 'mesh').flatMap((name) => {
      const gateway = set.gateway(name, service.metadata.namespace ?? '');
      if (!gateway) return [];
      return set.of<Pod>('Pod').filter(({ metadata }) => hasLabels(metadata.labels, gateway.spec.selector)).filter((pod) => !isAuthenticated(set, pod)).map((pod) =>
        message('IST0149', service, claim.path, [claim.key, fullName(gateway), pod.metadata.name], `apply a RequestAuthentication in ${pod.metadata.namespace ?? set.rootNamespace} that selects the gateway's pods`));
    });
  });
}

function claimOf(service: VirtualService): { readonly key: string; readonly path: string } | undefined {
  for (const [index, route] of (service.spec.http ?? []).entries())
    for (const [at, match] of (route.match ?? []).entries())
      for (const field of ['headers', 'withoutHeaders'] as const) {
        const key = Object.keys(match[field] ?? {}).find((name) => name.startsWith(CLAIMS));
        if (key !== undefined) return { key, path: `spec.http[${index}].match[${at}].${field}["${key}"]` };
      }
  return undefined;
}

function isAuthenticated(set: ObjectSet, pod: Pod): boolean {
  return set.of<RequestAuthentication>('RequestAuthentication').some(({ metadata, spec }) =>
    (metadata.namespace === set.rootNamespace || (metadata.namespace ?? '') === (pod.metadata.namespace ?? '')) && hasLabels(pod.metadata.labels, spec.selector?.matchLabels));
}
