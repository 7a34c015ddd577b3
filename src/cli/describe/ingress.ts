/** `describe`: through which ingress gateways a service is reached. */
import { hasLabels } from '../../analysis/selector.ts';
import { selectProtocol } from '../../model/protocol.ts';
import type { DestinationRule } from '../../objects/istio/destination-rule.ts';
import type { Gateway } from '../../objects/istio/gateway.ts';
import type { VirtualService } from '../../objects/istio/virtual-service.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service, ServicePort } from '../../objects/kubernetes/service.ts';
import { DESTINATION_RULE, GATEWAY, POD, SERVICE, VIRTUAL_SERVICE } from '../../objects/resource-types.ts';
import type { ClusterReader } from '../command-world.ts';
import { parseConfigDump, type ConfigDump } from '../proxy-config/dump.ts';
import type { PodName } from '../pod-name.ts';
import { destinationRuleOf, virtualServiceOf } from './proxy-facts.ts';
import { NO_SUBSETS, subsetsOf, virtualServiceLines, type Naming } from './rules.ts';

/** A service in front of ingress gateway pods. */
interface Ingress {
  readonly service: Service;
  readonly pods: readonly Pod[];
}

export interface DescribeContext {
  readonly client: ClusterReader;
  askProxy(pod: PodName, path: string): Promise<string>;
  readonly naming: Naming;
}

export async function ingressLines(context: DescribeContext, services: readonly Service[], podLabels: readonly Readonly<Record<string, string>>[]): Promise<readonly string[]> {
  const { items: pods } = await context.client.list<Pod>(POD, { labelSelector: 'istio=ingressgateway', fieldSelector: 'status.phase=Running' });
  if (pods.length === 0) return ['Skipping Gateway information (no ingress gateway pods)'];
  const ingresses = await findIngresses(context.client, pods);
  const lines = ingresses.length === 0 ? ['Skipping Gateway information (no ingress gateway service)'] : [];
  const shown = new Set<string>();
  for (const pod of pods) {
    const { name, namespace = '' } = pod.metadata;
    const dump = parseDump(await context.askProxy({ name, namespace }, 'config_dump'));
    for (const service of services)
      for (const port of service.spec.ports ?? []) lines.push(...(await routeLines(context, dump, service, port, podLabels, ingresses, shown)));
  }
  return lines;
}

/** A proxy that has nothing yet answers with an empty object. */
export function parseDump(text: string): ConfigDump {
  return parseConfigDump(/^\s*\{\s*\}\s*$/.test(text) ? '{"configs":[]}' : text);
}

async function findIngresses(client: ClusterReader, pods: readonly Pod[]): Promise<readonly Ingress[]> {
  const namespaces = [...new Set(pods.map(({ metadata }) => metadata.namespace ?? ''))];
  const lists = await Promise.all(namespaces.map(async (namespace) => {
    const { items } = await client.list<Service>(SERVICE, { namespace });
    const own = pods.filter((pod) => pod.metadata.namespace === namespace);
    return items.map((service) => ({ service, pods: own.filter((pod) => hasLabels(pod.metadata.labels, service.spec.selector)) }));
  }));
  return lists.flat().filter((ingress) => ingress.pods.length > 0);
}

async function routeLines(context: DescribeContext, dump: ConfigDump, service: Service, port: ServicePort, podLabels: readonly Readonly<Record<string, string>>[], ingresses: readonly Ingress[], shown: Set<string>): Promise<readonly string[]> {
  const { client, naming } = context;
  const where = { name: service.metadata.name, namespace: service.metadata.namespace ?? '', port: port.port };
  const lines: string[] = [];
  const ruleName = destinationRuleOf(dump, where);
  const rule = ruleName && (await client.get<DestinationRule>(DESTINATION_RULE, ruleName.name, ruleName.namespace));
  if (ruleName && !rule) lines.push(stale('destination rule', ruleName));
  const virtualName = virtualServiceOf(dump, where);
  if (!virtualName) return lines;
  const virtual = await client.get<VirtualService>(VIRTUAL_SERVICE, virtualName.name, virtualName.namespace);
  if (!virtual) return [...lines, stale('virtual service', virtualName)];
  for (const reference of (virtual.spec.gateways ?? []).filter((one) => one !== '' && one !== 'mesh')) {
    const [namespace, name] = reference.includes('/') ? (reference.split('/', 2) as [string, string]) : [virtualName.namespace, reference];
    if (shown.has(`${namespace}/${name}`)) continue;
    const gateway = await client.get<Gateway>(GATEWAY, name, namespace);
    if (!gateway) {
      lines.push(`WARNING: Proxy is stale; it references to non-existent gateway ${namespace}/${name}`);
      continue;
    }
    shown.add(`${namespace}/${name}`);
    const own = ingresses.filter(({ pods }) => pods.some((pod) => hasLabels(pod.metadata.labels, gateway.spec.selector))).toSorted((a, b) => (addressOf(a) < addressOf(b) ? -1 : 1));
    if (own.length === 0) continue;
    lines.push('--------------------', ...own.flatMap(exposedLines), ...virtualServiceLines(virtual, service, rule ? subsetsOf(rule, podLabels) : NO_SUBSETS, rule ?? undefined, 0, naming));
  }
  return lines;
}

export function stale(kind: string, { name, namespace }: { readonly name: string; readonly namespace: string }): string {
  return `WARNING: Proxy is stale; it references to non-existent ${kind} ${name}.${namespace}`;
}

function addressOf({ service, pods }: Ingress): string {
  const [balancer] = service.status?.loadBalancer?.ingress ?? [];
  if (balancer) return balancer.ip ?? balancer.hostname ?? '';
  return pods[0]?.status?.hostIP || 'unknown';
}

/** Only plain HTTP ports: gateways open the others on demand. */
function exposedLines(ingress: Ingress): readonly string[] {
  return (ingress.service.spec.ports ?? []).filter(({ protocol, name }) => protocol === 'TCP' && (name === 'http' || name === 'http2')).flatMap((port) => {
    const pod = ingress.pods[0];
    if (!pod || podPort(pod, port) === undefined) return [];
    const { appProtocol, name } = port;
    const protocol = selectProtocol({ number: port.port, ...(name !== undefined && { name }), ...(appProtocol !== undefined && { appProtocol }) });
    const scheme = protocol === 'HTTP' || protocol === 'HTTP2' ? 'http' : '';
    return [`Exposed on Ingress Gateway ${scheme}://${addressOf(ingress)}${scheme === 'http' && port.port === 80 ? '' : `:${port.port}`}`];
  });
}

/** Port of the pod that a service's port leads to; undefined when no container has a port of that name. */
export function podPort(pod: Pod, { port, targetPort }: ServicePort): number | undefined {
  if (targetPort === undefined || targetPort === 0) return port;
  if (typeof targetPort === 'number' || /^\d+$/.test(targetPort)) return Number(targetPort);
  return pod.spec.containers.flatMap(({ ports }) => ports ?? []).find(({ name }) => name === targetPort)?.containerPort;
}
