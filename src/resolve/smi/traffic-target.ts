/** TrafficTargets of the Service Mesh Interface → AuthorizationPolicies on the pods of a service account. @see https://github.com/servicemeshinterface/smi-spec/blob/main/apis/traffic-access/v1alpha3/traffic-access.md */
import type { Issue } from '../../base/issue.ts';
import type { Workload } from '../../model/workload.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf } from '../context.ts';
import type { Cursor } from '../cursor.ts';
import { notConverted } from '../legacy/modern.ts';
import { cursorOf, fieldOf, generated } from './objects.ts';
import { asPattern, routeGroupMatches } from './route-group.ts';

export interface TargetInput {
  readonly ofKind: (groupKind: string) => readonly KubeObject[];
  readonly workloads: readonly Workload[];
  readonly trustDomain: string;
}

type Json = Readonly<Record<string, unknown>>;

/** Labels that change with every rollout or pod, or that say where it runs. */
const VOLATILE = ['istio-locality', 'pod-template-hash', 'controller-revision-hash', 'statefulset.kubernetes.io/pod-name', 'apps.kubernetes.io/pod-index', 'pod-template-generation'];

/** One policy for every set of labels that pods of the destination have. What cannot be said is not granted. */
export function convertTrafficTarget(target: KubeObject, { ofKind, workloads, trustDomain }: TargetInput, issues: Issue[]): readonly KubeObject[] {
  const destination = fieldOf(target, 'destination', issues);
  const account = destination.at('name').string();
  const namespace = destination.at('namespace').string() || namespaceOf(target);
  const pods = workloads.filter((workload) => workload.serviceAccount.endsWith(`/ns/${namespace}/sa/${account}`));
  if (pods.length === 0) issues.push(notConverted(target, destination.path, `No pod runs as ServiceAccount ${namespace}/${account}; the target guards nothing until one does.`));
  const selectors = new Map(pods.map(({ labels }) => {
    const lasting = Object.fromEntries(Object.entries(labels).filter(([name]) => !VOLATILE.includes(name) && !/(^|\.)istio\.io\//.test(name)).sort(([a], [b]) => (a < b ? -1 : 1)));
    return [JSON.stringify(lasting), lasting] as const;
  }));
  const port = destination.at('port').text();
  const operations = fieldOf(target, 'rules', issues, 'specs').items().flatMap((rule) => operationsOf(target, rule, ofKind, issues)).map(({ operation, when }) => ({ operation: { ...operation, ...(port !== undefined && { ports: [port] }) }, when }));
  if (operations.length === 0) issues.push(notConverted(target, 'spec.rules', 'No rule says what is let in; the destination is closed.'));
  const principals = fieldOf(target, 'sources', issues).items().map((source) => `${trustDomain}/ns/${source.at('namespace').string() || namespaceOf(target)}/sa/${source.at('name').string()}`);
  const rules = principals.length === 0 ? [] : operations.map(({ operation, when }): Json => ({
    from: [{ source: { principals } }], ...(Object.keys(operation).length > 0 && { to: [{ operation }] }), ...(when.length > 0 && { when }),
  }));
  return [...selectors.values()].map((matchLabels, index) => generated(target, 'security.istio.io/v1', 'AuthorizationPolicy', `${target.metadata.name}-smi${index === 0 ? '' : `-${index + 1}`}`, namespace, {
    ...(Object.keys(matchLabels).length > 0 && { selector: { matchLabels } }), action: 'ALLOW', rules,
  }));
}

interface Granted {
  readonly operation: Json;
  readonly when: readonly Json[];
}

function operationsOf(target: KubeObject, rule: Cursor, ofKind: TargetInput['ofKind'], issues: Issue[]): readonly Granted[] {
  const [kind, name] = [rule.at('kind').string('HTTPRouteGroup'), rule.at('name').string()];
  const route = ofKind(`specs.smi-spec.io/${kind}`).find((one) => one.metadata.name === name && namespaceOf(one) === namespaceOf(target));
  if (!route) {
    issues.push(notConverted(target, rule.path, `There is no ${kind} ${namespaceOf(target)}/${name}; the rule lets nothing in.`));
    return [];
  }
  if (kind === 'TCPRoute') {
    const ports = cursorOf(route, issues).at('matches').at('ports').strings();
    return [{ operation: ports.length > 0 ? { ports } : {}, when: [] }];
  }
  const wanted = rule.at('matches').strings();
  const matches = routeGroupMatches(route, issues).filter((match) => wanted.length === 0 || wanted.includes(match.name));
  return matches.flatMap(({ name: matchName, pathRegex, methods, headers }) => {
    const path = asPattern(pathRegex);
    const values = headers.map(([header, regex]) => [header, asPattern(regex)] as const);
    if (path === undefined || values.some(([, value]) => value === undefined)) {
      issues.push(notConverted(route, 'spec.matches', `Match ${matchName} has a regular expression that AuthorizationPolicy cannot say; TrafficTarget ${target.metadata.name} does not let it in.`, 'write a path, a path and .*, or an AuthorizationPolicy'));
      return [];
    }
    return [{
      operation: { ...(path !== '*' && { paths: [path] }), ...(methods.length > 0 && !methods.includes('*') && { methods }) },
      when: values.map(([header, value]) => ({ key: `request.headers[${header.toLowerCase()}]`, values: [value!] })),
    }];
  });
}
