/** Service ports whose protocol must be guessed. */
import type { Issue } from '../../base/issue.ts';
import { selectProtocol } from '../../model/protocol.ts';
import type { Service, ServicePort } from '../../objects/kubernetes/service.ts';
import { isControlPlane } from '../in-mesh.ts';
import { message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';

export function analyzePortNames(set: ObjectSet): readonly Issue[] {
  return set.of<Service>('Service').filter((service) => !set.isIgnored(service.metadata.namespace) && !isControlPlane(service)).flatMap((service) => (service.spec.ports ?? []).flatMap((port, index) => {
    const external = service.spec.type === 'ExternalName';
    if (!isGuessed(port) && !(external && port.name === 'tcp')) return [];
    const path = `spec.ports[${index}].name`;
    if (external) return [message('IST0150', service, path, [], 'name the port after its protocol, e.g. https')];
    return [message('IST0118', service, path, [port.name ?? '', port.port, String(port.targetPort ?? 0)], `name it protocol or protocol-suffix, e.g. http${port.name ? `-${port.name}` : ''}, or set appProtocol`)];
  }));
}

function isGuessed({ port, name, appProtocol, protocol }: ServicePort): boolean {
  return selectProtocol({ number: port, ...(name !== undefined && { name }), ...(appProtocol !== undefined && { appProtocol }), ...(protocol !== undefined && { transport: protocol }) }) === 'Auto';
}
