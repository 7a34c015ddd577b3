/** TrafficSplits of the Service Mesh Interface → VirtualServices. @see https://github.com/servicemeshinterface/smi-spec/blob/main/apis/traffic-split/v1alpha4/traffic-split.md */
import type { Issue } from '../../base/issue.ts';
import { isHttp } from '../../model/protocol.ts';
import type { Service } from '../../model/service.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf } from '../context.ts';
import type { Cursor } from '../cursor.ts';
import { notConverted } from '../legacy/modern.ts';
import { cursorOf, generated, shortName } from './objects.ts';
import { routeGroupMatches, wholeText } from './route-group.ts';

export interface SplitInput {
  readonly ofKind: (groupKind: string) => readonly KubeObject[];
  readonly services: readonly Service[];
  readonly domainSuffix: string;
}

type Json = Readonly<Record<string, unknown>>;

interface Backend {
  readonly host: string;
  readonly weight: number;
  readonly service: Service | undefined;
}

/** The VirtualService of a split; undefined when it would send nowhere. */
export function convertTrafficSplit(split: KubeObject, input: SplitInput, issues: Issue[]): KubeObject | undefined {
  const namespace = namespaceOf(split);
  const spec = cursorOf(split, issues);
  const find = (name: string) => input.services.find((service) => service.namespace === namespace && service.name === name && service.registry === 'Kubernetes');
  const hostOf = (name: string) => `${name}.${namespace}.svc.${input.domainSuffix}`;
  const apex = shortName(spec.at('service').string(), namespace);
  if (apex === '') {
    issues.push(notConverted(split, 'spec.service', 'spec.service is missing or of another namespace; the split changes nothing.'));
    return undefined;
  }
  const backends = spec.at('backends').items().map((backend): Backend & { readonly name: string } => {
    const name = shortName(backend.at('service').string(), namespace);
    if (name === apex) issues.push(notConverted(split, backend.path, `${backend.path} is the service that is split; its share goes to all of its pods.`));
    return { name, host: hostOf(name), weight: weightOf(backend.at('weight')), service: find(name) };
  });
  const scale = backends.every(({ weight }) => Number.isInteger(weight)) ? 1 : 1000;
  if (backends.every(({ weight }) => weight <= 0)) {
    issues.push(notConverted(split, 'spec.backends', 'No backend has a weight above 0; the split changes nothing.'));
    return undefined;
  }
  const ports = find(apex)?.ports.map(({ number, protocol }) => ({ number, protocol })) ?? [];
  if (ports.length === 0) issues.push(notConverted(split, 'spec.service', `Service ${namespace}/${apex} does not exist; nobody can call it.`));
  for (const { name, service, weight } of backends) if (!service && weight > 0) issues.push(notConverted(split, 'spec.backends', `Service ${namespace}/${name} does not exist; its share is 0 until it does.`));
  const matches = matchesOf(split, spec, input, issues);
  if (matches?.length === 0) return undefined;
  const routes = ports.map(({ number, protocol }) => {
    const serving = backends.filter(({ service, name, weight }) => {
      const serves = service?.ports.some((port) => port.number === number) ?? false;
      if (service && !serves && weight > 0) issues.push(notConverted(split, 'spec.backends', `Service ${namespace}/${name} has no port ${number}; calls to this port of ${apex} do not go there.`));
      return weight > 0 && serves;
    });
    const route = serving.map(({ host, weight }) => ({ destination: { host, port: { number } }, weight: Math.round(weight * scale) }));
    const rest = [{ destination: { host: hostOf(apex), port: { number } } }];
    const http: readonly Json[] = serving.length === 0 ? [] : matches ? [{ match: matches.map((match) => ({ ...match, port: number })), route }, { match: [{ port: number }], route: rest }] : [{ match: [{ port: number }], route }];
    const tcp: readonly Json[] = serving.length === 0 || matches || isHttp(protocol) ? [] : [{ match: [{ port: number }], route }];
    return { http, tcp };
  });
  const [http, tcp] = [routes.flatMap((one) => one.http), routes.flatMap((one) => one.tcp)];
  if (http.length === 0) return undefined;
  return generated(split, 'networking.istio.io/v1', 'VirtualService', `${split.metadata.name}-smi`, namespace, { hosts: [hostOf(apex)], http, ...(tcp.length > 0 && { tcp }) });
}

/** Which requests are split; undefined: all. A group that does not exist takes none. */
function matchesOf(split: KubeObject, spec: Cursor, { ofKind }: SplitInput, issues: Issue[]): readonly Json[] | undefined {
  const references = spec.at('matches').items();
  if (references.length === 0) return undefined;
  const matches = references.flatMap((reference) => {
    const name = reference.at('name').string();
    const group = ofKind('specs.smi-spec.io/HTTPRouteGroup').find((one) => one.metadata.name === name && namespaceOf(one) === namespaceOf(split));
    if (!group) issues.push(notConverted(split, reference.path, `There is no HTTPRouteGroup ${namespaceOf(split)}/${name}; it takes no request.`));
    return group ? routeGroupMatches(group, issues) : [];
  });
  return matches.map(({ pathRegex, methods, headers }) => ({
    ...(pathRegex !== '' && { uri: { regex: wholeText(pathRegex) } }),
    ...(methods.length > 0 && !methods.includes('*') && { method: { regex: methods.join('|') } }),
    ...(headers.length > 0 && { headers: Object.fromEntries(headers.map(([name, regex]) => [name.toLowerCase(), { regex: wholeText(regex) }])) }),
  }));
}

/** A share: a number, or a quantity (`900m`). */
function weightOf(weight: Cursor): number {
  const text = weight.text() ?? '0';
  const match = /^(\d+(?:\.\d+)?)(m?)$/.exec(text.trim());
  if (match) return Number(match[1]) / (match[2] === 'm' ? 1000 : 1);
  weight.fail(`"${text}" is no weight; write a number`);
  return 0;
}
