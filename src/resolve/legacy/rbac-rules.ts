/** Rules of a ServiceRole and subjects of a ServiceRoleBinding in the words of an AuthorizationPolicy. What has no such words is not granted. */
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';
import type { Cursor } from '../cursor.ts';
import { notConverted } from './modern.ts';
import { covers } from './services.ts';

interface Condition {
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

/** What a rule of a role lets be done, and to which services. */
export interface Grant {
  readonly services: readonly string[];
  /** Labels a workload needs besides those of its service. */
  readonly labels: Readonly<Record<string, string>>;
  readonly operation: Readonly<Record<string, readonly string[]>> | undefined;
  readonly when: readonly Condition[];
}

/** Who is let in. */
export interface SubjectSource {
  readonly from: Readonly<Record<string, readonly string[]>> | undefined;
  readonly when: readonly Condition[];
}

const OPERATIONS = ['hosts', 'notHosts', 'paths', 'notPaths', 'methods', 'notMethods', 'ports', 'notPorts'];
/** Conditions that AuthorizationPolicy knows by the same name. */
const SAME_KEYS = /^(request\.headers\[.+\]|request\.auth\.(audiences|presenter|claims\[.+\])|destination\.(ip|port)|source\.ip|connection\.sni|experimental\.envoy\.filters\..+)$/;

/** One rule as grants: several when labels of workloads may have several values, none when it can never hold. */
export function grantsOf(role: KubeObject, rule: Cursor, namespace: string, issues: Issue[]): readonly Grant[] {
  const operation = Object.fromEntries(OPERATIONS.map((name) => [name, rule.at(name).strings()] as const).filter(([, values]) => values.length > 0));
  const when: Condition[] = [];
  let labels: readonly Readonly<Record<string, string>>[] = [{}];
  for (const constraint of rule.at('constraints').items()) {
    const key = constraint.at('key').string();
    const values = constraint.at('values').strings();
    const label = /^destination\.labels\[(.+)\]$/.exec(key)?.[1];
    if (label !== undefined && !values.some((value) => value.includes('*'))) labels = labels.flatMap((known) => values.map((value) => ({ ...known, [label]: value })));
    else if (key === 'destination.namespace') {
      if (!values.some((value) => covers(value, namespace))) labels = [];
    } else if (SAME_KEYS.test(key)) when.push({ key, values });
    else {
      issues.push(notConverted(role, constraint.path, `${constraint.path} ("${key}") has no form in AuthorizationPolicy; its rule grants nothing.`, 'write an AuthorizationPolicy'));
      return [];
    }
  }
  const services = rule.at('services').strings();
  return labels.map((one) => ({ services, labels: one, operation: Object.keys(operation).length > 0 ? operation : undefined, when }));
}

/** Fields of `source` for what subjects list. */
const LISTS: Readonly<Record<string, string>> = { names: 'principals', notNames: 'notPrincipals', namespaces: 'namespaces', notNamespaces: 'notNamespaces', ips: 'ipBlocks', notIps: 'notIpBlocks' };
const PROPERTIES: Readonly<Record<string, string>> = { 'source.namespace': 'namespaces', 'source.principal': 'principals', 'source.user': 'principals', 'source.ip': 'ipBlocks', 'request.auth.principal': 'requestPrincipals' };

/** A subject; undefined when it cannot be told, which lets nobody in. All it says must hold. */
export function sourceOf(binding: KubeObject, subject: Cursor, issues: Issue[]): SubjectSource | undefined {
  const from: Record<string, readonly string[]> = {};
  const when: Condition[] = [];
  const user = subject.at('user').string();
  // Everybody, also who has no identity.
  if (user !== '' && user !== '*') from['principals'] = [user];
  for (const [name, field] of Object.entries(LISTS)) {
    const values = subject.at(name).strings();
    if (values.length > 0 && !(name === 'names' && values.includes('*'))) from[field] = values;
  }
  const groups = [subject.at('group').string(), ...subject.at('groups').strings()].filter((group) => group !== '');
  const notGroups = subject.at('notGroups').strings();
  if (groups.length > 0) when.push({ key: 'request.auth.claims[groups]', values: groups });
  if (notGroups.length > 0) when.push({ key: 'request.auth.claims[groups]', notValues: notGroups });
  for (const [key, value] of subject.at('properties').entries()) {
    const field = Object.hasOwn(PROPERTIES, key) ? PROPERTIES[key] : undefined;
    if (field !== undefined && from[field] === undefined) from[field] = [value.string()];
    else if (field === 'principals' || SAME_KEYS.test(key)) when.push({ key: field === 'principals' ? 'source.principal' : key, values: [value.string()] });
    else {
      issues.push(notConverted(binding, value.path, `${value.path} has no form in AuthorizationPolicy; the subject is not let in.`, 'write an AuthorizationPolicy'));
      return undefined;
    }
  }
  if (user === '' && Object.keys(from).length === 0 && when.length === 0) {
    if (subject.at('names').strings().includes('*')) return { from: undefined, when };
    issues.push(notConverted(binding, subject.path, `${subject.path} names nobody; it lets nobody in.`, 'user: "*" lets everybody in'));
    return undefined;
  }
  return { from: Object.keys(from).length > 0 ? from : undefined, when };
}
