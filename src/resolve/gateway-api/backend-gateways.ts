/** Which Gateways lead to a backend: status of backends and their policies is reported for each of them. */
import type { ParentReference } from '../../objects/gateway-api/common.ts';
import { namespaceOf } from '../context.ts';
import type { RouteObject } from './parent.ts';
import { GATEWAY_API, type World } from './world.ts';

/** Kind as `group/kind`, namespace and name of a backend → the Gateways whose routes name it. */
export type BackendGateways = (groupKind: string, namespace: string, name: string) => readonly ParentReference[];

interface BackendRoute extends RouteObject {
  readonly spec: RouteObject['spec'] & {
    readonly rules?: readonly { readonly backendRefs?: readonly { readonly group?: string; readonly kind?: string; readonly name: string; readonly namespace?: string }[] }[];
  };
}

export function indexBackendGateways(world: World): BackendGateways {
  const index = new Map<string, Map<string, ParentReference>>();
  for (const kind of ['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'])
    for (const route of world.list<BackendRoute>(`${GATEWAY_API}/${kind}`)) {
      const local = namespaceOf(route);
      const gateways = (route.spec.parentRefs ?? []).filter(({ group = GATEWAY_API, kind: parent = 'Gateway' }) => group === GATEWAY_API && parent === 'Gateway')
        .map(({ name, namespace = local }): ParentReference => ({ group: GATEWAY_API, kind: 'Gateway', name, namespace }));
      for (const { group = '', kind: backend = 'Service', name, namespace = local } of (route.spec.rules ?? []).flatMap((rule) => rule.backendRefs ?? [])) {
        const key = JSON.stringify([`${group}/${backend}`, namespace, name]);
        const known = index.get(key) ?? new Map<string, ParentReference>();
        index.set(key, known);
        for (const gateway of gateways) known.set(parentReferenceText(gateway), gateway);
      }
    }
  return (groupKind, namespace, name) => [...(index.get(JSON.stringify([groupKind, namespace, name]))?.values() ?? [])];
}

/** One text for equal references. */
export function parentReferenceText(reference: ParentReference): string {
  const { group, kind, namespace, name, sectionName, port } = reference;
  return [namespace, name, group, kind, sectionName, port].map((part) => String(part ?? '')).join('/');
}
