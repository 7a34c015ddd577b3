/** Gateway API: definitions too old to be read, and policies that select its pods by label in vain. */
import type { Issue } from '../../base/issue.ts';
import type { TargetReference, WorkloadSelector } from '../../objects/istio/common.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { SpecObject } from '../../objects/meta.ts';
import { message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';
import { hasLabels } from '../selector.ts';

/** The oldest bundle of Gateway API whose definition of a kind is understood. */
const OLDEST: ReadonlyMap<string, readonly [number, number, number]> = new Map([
  ['backendtlspolicies.gateway.networking.k8s.io', [1, 4, 0] as const],
  ['grpcroutes.gateway.networking.k8s.io', [1, 1, 0] as const],
  ['tlsroutes.gateway.networking.k8s.io', [1, 5, 0] as const],
]);
const VERSION = 'gateway.networking.k8s.io/bundle-version';

export function analyzeGatewayApiVersions(set: ObjectSet): readonly Issue[] {
  return set.of('CustomResourceDefinition').flatMap((definition) => {
    const { name, annotations } = definition.metadata;
    const oldest = OLDEST.get(name);
    const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?((?:[-+][0-9A-Za-z.+-]+)?)$/.exec(annotations?.[VERSION] ?? '');
    if (!oldest || !match) return [];
    const installed = [1, 2, 3].map((group) => Number(match[group] ?? 0));
    // A pre-release of the oldest version is new enough.
    const at = installed.findIndex((part, index) => part !== oldest[index]);
    if (at < 0 || installed[at]! > oldest[at]!) return [];
    return [message('IST0176', definition, `metadata.annotations["${VERSION}"]`, [name, `${installed.join('.')}${match[4] ?? ''}`, oldest.join('.')], `install Gateway API ${oldest.join('.')} or newer`)];
  });
}

type Policy = SpecObject<{ readonly selector?: WorkloadSelector; readonly targetRef?: TargetReference; readonly targetRefs?: readonly TargetReference[] }>;

const GATEWAY_NAME = 'gateway.networking.k8s.io/gateway-name';

/** Pods of a Kubernetes Gateway take policies by target reference only. */
export function analyzeGatewayApiSelectors(set: ObjectSet): readonly Issue[] {
  const pods = set.of<Pod>('Pod').filter(({ metadata }) => metadata.labels?.[GATEWAY_NAME] !== undefined);
  return ['AuthorizationPolicy', 'RequestAuthentication', 'Telemetry', 'WasmPlugin'].flatMap((kind) => set.of<Policy>(kind)).flatMap((policy) => {
    const { selector, targetRef, targetRefs } = policy.spec;
    if (!selector || targetRef || targetRefs?.length) return [];
    const found = pods.filter(({ metadata }) => (metadata.namespace ?? '') === (policy.metadata.namespace ?? '') && hasLabels(metadata.labels, selector.matchLabels));
    return found.map(({ metadata }) => {
      const gateway = metadata.labels?.[GATEWAY_NAME] ?? '';
      return message('IST0166', policy, 'spec.selector', [gateway], `targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ${gateway}}]`);
    });
  });
}
