import type { Issue, ObjectReference } from '../base/issue.ts';
import type { DestinationRule, TrafficPolicy } from '../model/destination-rule.ts';
import type { MeshSnapshot } from '../model/snapshot.ts';
import type { KubeObject } from '../objects/meta.ts';
import { referenceOf } from './context.ts';

/** Kinds that are accepted and stored but change nothing yet, with what a user would expect of them. */
const KINDS: ReadonlyMap<string, string> = new Map([
  ['security.istio.io/AuthorizationPolicy', 'access is not restricted by it'],
  ['security.istio.io/RequestAuthentication', 'tokens are not checked'],
  ['networking.istio.io/EnvoyFilter', 'its patches are not applied'],
  ['telemetry.istio.io/Telemetry', 'logs, metrics and traces stay as the mesh config says'],
  ['extensions.istio.io/WasmPlugin', 'its filter does not run'],
]);

/** What was written but is not obeyed: said by name instead of silently ignored. */
export function reportUnsupported(byKind: ReadonlyMap<string, readonly KubeObject[]>, snapshot: MeshSnapshot): readonly Issue[] {
  const issues: Issue[] = [];
  for (const [kind, effect] of KINDS)
    for (const object of byKind.get(kind) ?? []) issues.push(unsupported(referenceOf(object), '', `${object.kind} is not supported yet: ${effect}`));
  for (const gateway of snapshot.gateways)
    gateway.servers.forEach((server, index) => {
      if (server.tls?.mode === 'AUTO_PASSTHROUGH')
        issues.push(unsupported({ kind: 'Gateway', namespace: gateway.namespace, name: gateway.name }, `spec.servers[${index}].tls.mode`, 'AUTO_PASSTHROUGH is not supported yet: the server stays closed'));
    });
  for (const sidecar of snapshot.sidecars)
    sidecar.egress.forEach((listener, index) => {
      if (listener.port)
        issues.push(unsupported({ kind: 'Sidecar', namespace: sidecar.namespace, name: sidecar.name }, `spec.egress[${index}].port`, 'Egress listeners of one port are not supported yet: their hosts are visible on all ports'));
    });
  for (const service of snapshot.services)
    if (service.resolution === 'dynamic-dns')
      issues.push(unsupported({ kind: 'ServiceEntry', namespace: service.namespace, name: service.name }, 'spec.resolution', 'DYNAMIC_DNS is not supported yet: calls go to the address the caller chose'));
  for (const rule of snapshot.destinationRules) issues.push(...ofDestinationRule(rule));
  return issues;
}

function ofDestinationRule(rule: DestinationRule): readonly Issue[] {
  const object: ObjectReference = { kind: 'DestinationRule', namespace: rule.namespace, name: rule.name };
  const of = (policy: TrafficPolicy | undefined, path: string): readonly Issue[] => {
    if (!policy) return [];
    const ports = [...policy.portLevel.values()].flatMap((entry, index) => of(entry, `${path}.portLevelSettings[${index}]`));
    return [
      ...(policy.proxyProtocol ? [unsupported(object, `${path}.proxyProtocol`, 'proxyProtocol is not supported yet: upstream connections carry no PROXY header')] : []),
      ...(policy.loadBalancer?.locality && policy.loadBalancer.locality.failoverPriority.length > 0
        ? [unsupported(object, `${path}.loadBalancer.localityLbSetting.failoverPriority`, 'failoverPriority is not supported yet: failover goes by region, zone and subzone')] : []),
      ...ports,
    ];
  };
  return [...of(rule.policy, 'spec.trafficPolicy'), ...rule.subsets.flatMap((subset, index) => of(subset.policy, `spec.subsets[${index}].trafficPolicy`))];
}

function unsupported(object: ObjectReference, path: string, message: string): Issue {
  return { severity: 'warning', code: 'MLT0005', object, path, message: `${message}.` };
}
