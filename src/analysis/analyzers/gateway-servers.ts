/** Gateways against their workloads and against each other: ports, conflicts, certificates. */
import type { Issue } from '../../base/issue.ts';
import type { Gateway, Server } from '../../objects/istio/gateway.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import { fullName, message } from '../message.ts';
import { hostMatches, type ObjectSet } from '../object-set.ts';
import { hasLabels, selectorText } from '../selector.ts';

const gateways = (set: ObjectSet): readonly Gateway[] => set.of<Gateway>('Gateway', 'networking.istio.io');

/** Ports that no service of the gateway's pods leads to. */
export function analyzeGatewayPorts(set: ObjectSet): readonly Issue[] {
  if (!set.knowsPods) return [];
  return gateways(set).flatMap((gateway) => {
    const { selector, servers = [] } = gateway.spec;
    const pods = set.of<Pod>('Pod').filter((pod) => hasLabels(pod.metadata.labels, selector));
    if (pods.length === 0) return [missingSelector(gateway)];
    const open = new Set(pods.flatMap((pod) => portsOf(set, pod)));
    return servers.flatMap(({ port }, index) => (port?.number === undefined || open.has(port.number)
      ? []
      : [message('IST0162', gateway, `spec.servers[${index}].port.number`, [port.number, selectorText(selector)], `add a port with targetPort ${port.number} to the gateway's Service, or use one of ${[...open].join(', ')}`)]));
  });
}

/** The gateway selects no pod. */
export function missingSelector(gateway: Gateway): Issue {
  return message('IST0101', gateway, 'spec.selector', ['selector', selectorText(gateway.spec.selector)], 'use the labels of your gateway pods; istioctl\'s and meltemi\'s ingress gateway has istio=ingressgateway');
}

/** Ports a gateway of this pod may name: a service's, which stands for its target port, or the target port itself. */
function portsOf(set: ObjectSet, pod: Pod): readonly number[] {
  return set.of<Service>('Service')
    .filter(({ metadata, spec }) => (metadata.namespace ?? '') === (pod.metadata.namespace ?? '') && hasLabels(pod.metadata.labels, spec.selector))
    .flatMap(({ spec }) => (spec.ports ?? []).filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP').flatMap(({ port, targetPort }) => (Number(targetPort) ? [port, Number(targetPort)] : [port])));
}

/** Gateways of the same pods that claim the same host on the same port: only one of them is served. */
export function analyzeGatewayConflicts(set: ObjectSet): readonly Issue[] {
  const all = gateways(set);
  return all.flatMap((gateway) => (gateway.spec.servers ?? []).flatMap((server, index) => {
    const rivals = all.filter((other) => other !== gateway && selectorText(other.spec.selector) === selectorText(gateway.spec.selector) && (other.spec.servers ?? []).some((theirs) => conflict(server, theirs)));
    if (rivals.length === 0) return [];
    const port = String(server.port?.number ?? 0);
    return [message('IST0145', gateway, `spec.servers[${index}].hosts`, [rivals.map(fullName).join(','), selectorText(gateway.spec.selector), port, (server.hosts ?? []).join(',')], 'merge the servers into one Gateway, or give them different hosts or ports')];
  }));
}

function conflict(one: Server, other: Server): boolean {
  if ((one.port?.number ?? 0) !== (other.port?.number ?? 0) || (one.bind ?? '') !== (other.bind ?? '')) return false;
  return (one.hosts ?? []).some((host) => (other.hosts ?? []).some((theirs) => hostMatches(theirs, host) || hostMatches(host, theirs)));
}

/** One certificate in several gateways of the same pods: browsers reuse a connection for the other's hosts and get 404. */
export function analyzeGatewayCertificates(set: ObjectSet): readonly Issue[] {
  const all = gateways(set);
  return all.flatMap((gateway) => all.filter((other) => other !== gateway && hasLabels(other.spec.selector, gateway.spec.selector)).flatMap((other) =>
    (gateway.spec.servers ?? []).flatMap((server, index) => ((other.spec.servers ?? []).some((theirs) => sameCertificate(server, theirs))
      ? [message('IST0138', gateway, `spec.servers[${index}].tls`, [[fullName(gateway), fullName(other)]], 'put the servers that share a certificate into one Gateway')]
      : []))));
}

function sameCertificate({ tls: one }: Server, { tls: other }: Server): boolean {
  if (!one || !other) return false;
  if (one.credentialName || other.credentialName) return one.credentialName === other.credentialName;
  return Boolean(one.serverCertificate && one.privateKey) && one.serverCertificate === other.serverCertificate && one.privateKey === other.privateKey;
}
