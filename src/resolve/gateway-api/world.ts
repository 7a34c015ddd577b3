/** The objects a conversion looks at, found by kind and name. */
import type { Issue } from '../../base/issue.ts';
import { GATEWAY_API_KINDS } from '../../objects/gateway-api/kinds.ts';
import type { KubeObject, LabelSelector } from '../../objects/meta.ts';
import { validateSchema } from '../../objects/schema/validate.ts';
import { namespaceOf, referenceOf } from '../context.ts';
import type { GatewayApiFeatures } from './features.ts';
import { indexGrants, type Grants } from './grants.ts';
import type { ServiceDirectory } from './service-directory.ts';

export const GATEWAY_API = 'gateway.networking.k8s.io';
export const GATEWAY_API_EXPERIMENTAL = 'gateway.networking.x-k8s.io';

export interface GatewayApiInput {
  /** Objects of one `group/kind` (`/Service`, `gateway.networking.k8s.io/Gateway`). */
  readonly ofKind: (groupKind: string) => readonly KubeObject[];
  readonly domainSuffix: string;
  readonly features: GatewayApiFeatures;
  readonly services: ServiceDirectory;
}

/** {@link GatewayApiInput} with indexes. */
export interface World {
  readonly domainSuffix: string;
  readonly features: GatewayApiFeatures;
  readonly services: ServiceDirectory;
  readonly grants: Grants;
  /** Objects of a kind whose fields have the types their schema says; what is wrong with the others is in {@link issues}. */
  readonly list: <T extends KubeObject>(groupKind: string) => readonly T[];
  /** One object; cluster-scoped kinds have namespace ''. */
  readonly find: <T extends KubeObject>(groupKind: string, namespace: string, name: string) => T | undefined;
  readonly namespaces: () => readonly KubeObject[];
  readonly issues: Issue[];
}

const KINDS = new Map(GATEWAY_API_KINDS.map((info) => [`${info.group}/${info.kind}`, info]));

export function createWorld(input: GatewayApiInput): World {
  const issues: Issue[] = [];
  const lists = new Map<string, readonly KubeObject[]>();
  const indexes = new Map<string, ReadonlyMap<string, KubeObject>>();
  const list = <T extends KubeObject>(groupKind: string): readonly T[] => {
    let known = lists.get(groupKind);
    if (!known) lists.set(groupKind, (known = input.ofKind(groupKind).filter((object) => hasShape(groupKind, object, issues))));
    return known as readonly T[];
  };
  const find = <T extends KubeObject>(groupKind: string, namespace: string, name: string): T | undefined => {
    let index = indexes.get(groupKind);
    if (!index) indexes.set(groupKind, (index = new Map(list(groupKind).map((object) => [isClusterScoped(groupKind) ? `/${object.metadata.name}` : keyOfObject(object), object]))));
    return index.get(`${namespace}/${name}`) as T | undefined;
  };
  return {
    domainSuffix: input.domainSuffix, features: input.features, services: input.services, list, find, issues,
    grants: indexGrants(list(`${GATEWAY_API}/ReferenceGrant`)), namespaces: () => list('/Namespace'),
  };
}

function isClusterScoped(groupKind: string): boolean {
  return groupKind === '/Namespace' || groupKind === `${GATEWAY_API}/GatewayClass`;
}

function keyOfObject(object: KubeObject): string {
  return `${namespaceOf(object)}/${object.metadata.name}`;
}

/**
 * A field of the wrong type (or a required one that is missing) would break whatever reads it, so the object is left out. Values that the CRD would
 * refuse for other reasons are dealt with where they matter.
 */
function hasShape(groupKind: string, object: KubeObject, issues: Issue[]): boolean {
  const info = KINDS.get(groupKind);
  if (!info) return true;
  const { spec, status } = object as { readonly spec?: unknown; readonly status?: unknown };
  const schemaOf = (name: 'spec' | 'status') => info.schema.properties?.[name];
  const problems = [
    ...(schemaOf('spec') ? validateSchema(schemaOf('spec')!, spec ?? {}, 'spec') : []),
    ...(schemaOf('status') && status !== undefined && status !== null ? validateSchema(schemaOf('status')!, status, 'status') : []),
  ].filter(({ reason }) => reason === 'FieldValueTypeInvalid' || reason === 'FieldValueRequired');
  for (const problem of problems) issues.push({ severity: 'error', code: 'IST0106', object: referenceOf(object), path: problem.path, message: `${problem.path}: ${problem.message}.` });
  return problems.length === 0;
}

/** True when the labels are selected; a selector without requirements selects everything. */
export function matchesSelector(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const value = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  const plain = Object.entries(selector.matchLabels ?? {}).every(([key, wanted]) => value(key) === wanted);
  return plain && (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const have = value(key);
    switch (operator) {
      case 'In': return have !== undefined && values.includes(have);
      case 'NotIn': return have === undefined || !values.includes(have);
      case 'Exists': return have !== undefined;
      case 'DoesNotExist': return have === undefined;
      default: return false;
    }
  });
}

/** Labels of a namespace, with the name label that every namespace has. */
export function namespaceLabels(namespace: KubeObject): Readonly<Record<string, string>> {
  return { ...namespace.metadata.labels, 'kubernetes.io/metadata.name': namespace.metadata.name };
}

/** `fmt.Sprintf("%v", list)` of a user-facing message: `a`, `a and b`, `a, b, and c`. */
export function joinForHumans(words: readonly string[]): string {
  if (words.length <= 2) return words.join(' and ');
  return `${words.slice(0, -1).join(', ')}, and ${words.at(-1)}`;
}
