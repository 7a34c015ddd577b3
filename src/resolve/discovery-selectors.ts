import type { KubeObject } from '../objects/meta.ts';
import type { Cursor } from './cursor.ts';

interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

/** Kubernetes label selectors, any of which may take a namespace; each a list of requirements that all hold. */
export type DiscoverySelectors = readonly (readonly Requirement[])[];

/** Reads `meshConfig.discoverySelectors`; empty = every namespace. */
export function readDiscoverySelectors(list: Cursor): DiscoverySelectors {
  return list.items().map((selector) => [
    ...Object.entries(selector.at('matchLabels').stringMap()).map(([key, value]): Requirement => ({ key, operator: 'In', values: [value] })),
    ...selector.at('matchExpressions').items().map((entry): Requirement => ({
      key: entry.at('key').string(), operator: entry.at('operator').oneOf(['In', 'NotIn', 'Exists', 'DoesNotExist']) ?? 'In', values: entry.at('values').strings(),
    })),
  ]);
}

/**
 * Objects of namespaces that no selector takes are not part of the mesh. The root namespace always is: the mesh's own settings live there.
 * @see https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig (discoverySelectors)
 */
export function discovered(objects: Iterable<KubeObject>, selectors: DiscoverySelectors, rootNamespace: string): Iterable<KubeObject> {
  if (selectors.length === 0) return objects;
  const all = [...objects];
  const taken = new Set([rootNamespace]);
  for (const object of all)
    if (object.kind === 'Namespace' && object.apiVersion === 'v1' && selectors.some((selector) => selector.every((requirement) => holds(requirement, object.metadata.labels ?? {})))) taken.add(object.metadata.name);
  return all.filter((object) => object.metadata.namespace === undefined || taken.has(object.metadata.namespace));
}

function holds({ key, operator, values }: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In': return value !== undefined && values.includes(value);
    case 'NotIn': return value === undefined || !values.includes(value);
    case 'Exists': return value !== undefined;
    case 'DoesNotExist': return value === undefined;
  }
}
