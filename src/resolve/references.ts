import type { Issue, ObjectReference } from '../base/issue.ts';
import { covers } from '../model/hostname.ts';
import type { Destination, VirtualService } from '../model/virtual-service.ts';
import type { MeshSnapshot } from '../model/snapshot.ts';

/** References that lead nowhere. They stay in the config, as in Istio: a request that takes them gets Envoy's 503 NC. */
export function checkReferences(snapshot: MeshSnapshot): readonly Issue[] {
  const issues: Issue[] = [];
  const gateways = new Set(snapshot.gateways.map((gateway) => `${gateway.namespace}/${gateway.name}`));
  for (const rule of snapshot.virtualServices) {
    // Its route says so in its own status.
    if (rule.generated) continue;
    const object = reference(rule);
    for (const gateway of rule.gateways)
      if (gateway !== 'mesh' && !gateways.has(gateway)) issues.push(notFound(object, 'spec.gateways', `Referenced gateway not found: "${gateway}"`));
    for (const { destination, path } of destinationsOf(rule)) issues.push(...checkDestination(snapshot, object, path, destination));
  }
  return issues;
}

function reference(rule: VirtualService): ObjectReference {
  return { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', namespace: rule.namespace, name: rule.name };
}

function notFound(object: ObjectReference, path: string, message: string): Issue {
  return { severity: 'error', code: 'IST0101', object, path, message };
}

function checkDestination(snapshot: MeshSnapshot, object: ObjectReference, path: string, destination: Destination): readonly Issue[] {
  const known = snapshot.servicesByHostname.has(destination.host) || snapshot.services.some((service) => covers(service.hostname, destination.host));
  if (!known) return [notFound(object, `${path}.host`, `Referenced host not found: "${destination.host}"`)];
  if (!destination.subset) return [];
  const declared = snapshot.destinationRules.some((rule) => covers(rule.host, destination.host) && rule.subsets.some((subset) => subset.name === destination.subset));
  return declared ? [] : [notFound(object, `${path}.subset`, `Referenced host+subset in destinationrule not found: "${destination.host}+${destination.subset}"`)];
}

function destinationsOf(rule: VirtualService): readonly { readonly destination: Destination; readonly path: string }[] {
  const http = rule.http.flatMap((route, index) => [
    ...(route.action.kind === 'route' ? route.action.destinations.map((entry, at) => ({ destination: entry.destination, path: `spec.http[${index}].route[${at}].destination` })) : []),
    ...route.mirrors.map((mirror) => ({ destination: mirror.destination, path: `spec.http[${index}].mirror` })),
  ]);
  const l4 = (name: 'tls' | 'tcp') => rule[name].flatMap((route, index) => route.destinations.map((entry, at) => ({ destination: entry.destination, path: `spec.${name}[${index}].route[${at}].destination` })));
  return [...http, ...l4('tls'), ...l4('tcp')];
}
