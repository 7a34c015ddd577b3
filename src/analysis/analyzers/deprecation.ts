/** Fields and kinds that Istio gave up. */
import type { Issue } from '../../base/issue.ts';
import type { Sidecar } from '../../objects/istio/sidecar.ts';
import type { VirtualService } from '../../objects/istio/virtual-service.ts';
import type { CustomResourceDefinition } from '../../objects/kubernetes/custom-resource-definition.ts';
import { message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';

/** Kinds of `rbac.istio.io` that are gone since 1.6. */
const REMOVED_KINDS = ['ClusterRbacConfig', 'RbacConfig', 'ServiceRole', 'ServiceRoleBinding'];

export function analyzeDeprecation(set: ObjectSet): readonly Issue[] {
  return [
    ...set.of<VirtualService>('VirtualService').flatMap(checkFaults),
    ...set.of<Sidecar>('Sidecar').filter(({ spec }) => spec.outboundTrafficPolicy?.egressProxy).map((sidecar) =>
      message('IST0002', sidecar, 'spec.outboundTrafficPolicy.egressProxy', ['OutboundTrafficPolicy.EgressProxy ignored'], 'route through an egress gateway with a VirtualService')),
    ...set.of<CustomResourceDefinition>('CustomResourceDefinition').filter(({ spec }) => spec.group === 'rbac.istio.io' && REMOVED_KINDS.includes(spec.names.kind)).map((definition) =>
      message('IST0002', definition, 'spec.names.kind', [`Custom resource type ${definition.spec.group} ${definition.spec.names.kind} is removed`], 'delete it; use AuthorizationPolicy')),
  ];
}

function checkFaults(service: VirtualService): readonly Issue[] {
  return (service.spec.http ?? []).flatMap(({ fault }, index) => ((fault?.delay?.percent ?? 0) > 0
    ? [message('IST0002', service, `spec.http[${index}].fault.delay.percent`, ['HTTPRoute.fault.delay.percent is deprecated; use HTTPRoute.fault.delay.percentage'], `percentage: {value: ${fault?.delay?.percent}}`)]
    : []));
}
