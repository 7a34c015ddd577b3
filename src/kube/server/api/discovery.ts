/** What the server serves, in the two forms clients ask for it. */
import { apiVersionOf } from '../../../objects/kind.ts';
import type { Resource, ResourceTable } from './resources.ts';

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

interface Subresource {
  readonly name: string;
  readonly kind: string;
  /** Of the kind, when it is of another group than the resource. */
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

/** Resources that answer requests and store nothing. */
export function isVirtual(resource: Resource): boolean {
  return !resource.custom && (resource.group === 'authentication.k8s.io' || resource.group === 'authorization.k8s.io');
}

function verbsOf(resource: Resource): readonly string[] {
  return isVirtual(resource) ? ['create'] : VERBS;
}

/** The subresources of a resource. */
export function subresourcesOf(resource: Resource): Subresource[] {
  const found: Subresource[] = [];
  const { group, plural, kind } = resource;
  if (resource.status) found.push({ name: 'status', kind, verbs: ['get', 'patch', 'update'] });
  if (resource.scale) found.push({ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: ['get', 'patch', 'update'] });
  if (group === '' && plural === 'pods') {
    found.push({ name: 'log', kind: 'Pod', verbs: ['get'] }, { name: 'binding', kind: 'Binding', verbs: ['create'] }, { name: 'eviction', kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] });
    for (const [name, option] of [['exec', 'PodExecOptions'], ['attach', 'PodAttachOptions'], ['portforward', 'PodPortForwardOptions']] as const) found.push({ name, kind: option, verbs: ['create', 'get'] });
  }
  if (group === 'certificates.k8s.io' && plural === 'certificatesigningrequests') found.push({ name: 'approval', kind, verbs: ['get', 'patch', 'update'] });
  if (group === '' && plural === 'namespaces') found.push({ name: 'finalize', kind: 'Namespace', verbs: ['update'] });
  if (group === '' && plural === 'serviceaccounts') found.push({ name: 'token', kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] });
  return found;
}

interface GroupVersions {
  readonly group: string;
  /** Preferred first. */
  readonly versions: readonly string[];
}

/** The higher version first: v2, v1, v1beta2, v1beta1, v1alpha1. */
export function compareVersions(a: string, b: string): number {
  const rank = (version: string): number[] => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    return match ? [match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0, Number(match[1]), Number(match[3] ?? 0)] : [-1, 0, 0];
  };
  const [left, right] = [rank(a), rank(b)];
  return right[0]! - left[0]! || right[1]! - left[1]! || right[2]! - left[2]! || a.localeCompare(b);
}

function groupsOf(resources: readonly Resource[]): GroupVersions[] {
  const groups = new Map<string, Set<string>>();
  // kubectl takes the first group that has a name ("gateway"): built-in ones, then those of custom resources. A real cluster orders these by name alone;
  // here Istio's come first, because its lessons type `kubectl get gateway` and mean its own kind. Gateway API's is `gtw`.
  const rank = (group: string) => `${group.endsWith('.istio.io') ? 0 : 1}${group}`;
  const custom = resources.filter((resource) => resource.custom).sort((a, b) => (rank(a.group) < rank(b.group) ? -1 : rank(a.group) > rank(b.group) ? 1 : 0));
  for (const { group, version } of [...resources.filter((resource) => !resource.custom), ...custom]) {
    if (group === '') continue;
    const versions = groups.get(group) ?? new Set();
    groups.set(group, versions.add(version));
  }
  return [...groups].map(([group, versions]) => ({ group, versions: [...versions].sort(compareVersions) }));
}

function apiGroup({ group, versions }: GroupVersions): Record<string, unknown> {
  const list = versions.map((version) => ({ groupVersion: apiVersionOf({ group, version }), version }));
  return { name: group, versions: list, preferredVersion: list[0] };
}

/** `/apis`. */
export function apiGroupList(table: ResourceTable): unknown {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupsOf(table.all()).map(apiGroup) };
}

/** `/apis/<group>`; undefined for an unknown group. */
export function apiGroupOf(table: ResourceTable, group: string): unknown {
  const found = groupsOf(table.all()).find((one) => one.group === group);
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(found) };
}

/** `/api/v1` and `/apis/<group>/<version>`; undefined for an unknown version. */
export function apiResourceList(table: ResourceTable, group: string, version: string): unknown {
  const resources = table.all().filter((one) => one.group === group && one.version === version);
  if (resources.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf({ group, version }),
    resources: resources.flatMap((one) => [
      {
        name: one.plural, singularName: one.singular, namespaced: one.namespaced, kind: one.kind, verbs: verbsOf(one),
        ...(one.shortNames.length > 0 ? { shortNames: one.shortNames } : {}), ...(one.categories.length > 0 ? { categories: one.categories } : {}),
      },
      ...subresourcesOf(one).map((sub) => ({
        name: `${one.plural}/${sub.name}`, singularName: '', namespaced: one.namespaced, kind: sub.kind, verbs: sub.verbs,
        ...(sub.group ? { group: sub.group, version: sub.version } : {}),
      })),
    ]),
  };
}

/** Aggregated discovery of the core group (`/api`) or of all others (`/apis`). */
export function groupDiscoveryList(table: ResourceTable, core: boolean, version: 'v2' | 'v2beta1'): unknown {
  const all = table.all();
  const groups = core ? [{ group: '', versions: ['v1'] }] : groupsOf(all);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map(({ group, versions }) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: versions.map((one) => ({ version: one, freshness: 'Current', resources: all.filter((resource) => resource.group === group && resource.version === one).map(discoveryOf) })),
    })),
  };
}

function discoveryOf(resource: Resource): unknown {
  const { group, version, kind, plural, singular, shortNames, categories, namespaced } = resource;
  const subresources = subresourcesOf(resource).map((sub) => ({
    subresource: sub.name, responseKind: { group: sub.group ?? group, version: sub.version ?? version, kind: sub.kind }, verbs: sub.verbs,
  }));
  return {
    resource: plural,
    responseKind: { group, version, kind },
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: verbsOf(resource),
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  };
}
