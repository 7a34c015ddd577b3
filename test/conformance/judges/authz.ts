/** The `authz` corpus: AuthorizationPolicies → Envoy's filters, compared by meaning. @see ../shared/conformance/README.md */
import { join } from 'node:path';
import { toJson } from '@bufbuild/protobuf';
import type { Issue } from '../../../src/base/issue.ts';
import { policyApplies } from '../../../src/model/policy-target.ts';
import type { KubeObject } from '../../../src/objects/meta.ts';
import { resolve } from '../../../src/resolve/resolve.ts';
import { customHttpFilters, customNetworkFilters, rbacHttpFilters, rbacNetworkFilters, type AuthzInput } from '../../../src/translate/authz/filters.ts';
import { FilterSchema } from '../../../src/xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { HttpFilterSchema } from '../../../src/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { fromEnvoyJson, typeRegistry } from '../../../src/xds/registry.ts';
import { readYaml } from '../corpus.ts';
import { fail, type Judge, sameData } from '../judge.ts';

interface AuthzCase {
  readonly filterType: 'http' | 'tcp';
  readonly policies: string;
  readonly builder: 'custom' | 'rbac';
  readonly meshConfig?: string;
  readonly trustDomain?: string;
  readonly trustDomainAliases?: readonly string[];
  readonly expected: readonly string[];
}

interface Environment {
  readonly proxy: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  readonly rootNamespace: string;
  readonly services: readonly { readonly namespace: string; readonly hostname: string }[];
}

/** Filter → comparable data: lists of and/or are sets, single ones unwrapped, nested ones flattened, `any` inside an and is nothing. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  const map = Object.fromEntries(Object.entries(value).map(([key, member]) => [key, comparable(member)]));
  for (const [kind, list] of [['andRules', 'rules'], ['orRules', 'rules'], ['andIds', 'ids'], ['orIds', 'ids']] as const) {
    if (!(kind in map)) continue;
    let members = ((map[kind] as Record<string, unknown>)[list] as Record<string, unknown>[]).flatMap((member) => (kind in member ? (member[kind] as Record<string, Record<string, unknown>[]>)[list]! : [member]));
    if (kind.startsWith('and') && members.length > 1) members = members.filter((member) => member['any'] !== true);
    if (members.length === 1) return members[0];
    return { [kind]: { [list]: sorted(members) } };
  }
  for (const list of ['permissions', 'principals', 'valueMatchers']) if (Array.isArray(map[list])) map[list] = sorted(map[list]);
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sorted(list: readonly unknown[]): unknown[] {
  return [...list].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** The filters, or why the policies cannot be read. */
function build(directory: string, data: AuthzCase, corpusDir: string): readonly unknown[] | string {
  const environment = readYaml<Environment>(join(corpusDir, '_fixtures/environment.yaml'))[0]!;
  const { snapshot, issues } = resolve({
    objects: readYaml<KubeObject>(join(directory, data.policies)), rootNamespace: environment.rootNamespace,
    meshConfig: data.meshConfig === undefined ? undefined : readYaml(join(directory, data.meshConfig))[0],
  });
  const issue = issues.find((one: Issue) => one.object.kind === 'AuthorizationPolicy');
  if (issue) return `${issue.object.name} ${issue.path}: ${issue.message}`;
  const input: AuthzInput = {
    policies: snapshot.authorizationPolicies.filter((policy) => policyApplies(policy, environment.proxy, environment.rootNamespace)),
    trustDomains: data.trustDomain === undefined ? [] : [data.trustDomain, ...(data.trustDomainAliases ?? [])],
    providers: snapshot.mesh.extAuthzProviders, services: environment.services,
  };
  if (data.filterType === 'http') return (data.builder === 'custom' ? customHttpFilters : rbacHttpFilters)(input).map((filter) => toJson(HttpFilterSchema, filter, { registry: typeRegistry }));
  return (data.builder === 'custom' ? customNetworkFilters : rbacNetworkFilters)(input).map((filter) => toJson(FilterSchema, filter, { registry: typeRegistry }));
}

/** Through the message, so that defaults and spellings are the same on both sides. */
function expectedFilter(file: string, http: boolean): unknown {
  const json = readYaml<Record<string, never>>(file)[0]!;
  if (http) return toJson(HttpFilterSchema, fromEnvoyJson(HttpFilterSchema, json), { registry: typeRegistry });
  return toJson(FilterSchema, fromEnvoyJson(FilterSchema, json), { registry: typeRegistry });
}

export const judge: Judge = {
  corpus: 'authz',
  run: async (caseDir, caseJson, corpusDir) => {
    const data = caseJson as AuthzCase;
    const expected = data.expected.map((file) => expectedFilter(join(caseDir, file), data.filterType === 'http'));
    const actual = build(caseDir, data, corpusDir);
    return typeof actual === 'string' ? fail(`a policy was refused: ${actual}`) : sameData(actual.map(comparable), expected.map(comparable));
  },
};
