/** VirtualServices that claim the same host for the same sidecars: only the oldest would count. */
import type { Issue } from '../../base/issue.ts';
import type { VirtualService } from '../../objects/istio/virtual-service.ts';
import type { ObjectSet } from '../object-set.ts';
import { message } from '../message.ts';

export function analyzeMeshHosts(set: ObjectSet): readonly Issue[] {
  const byHost = new Map<string, VirtualService[]>();
  for (const service of set.of<VirtualService>('VirtualService')) {
    const gateways = service.spec.gateways ?? [];
    if (gateways.length > 0 && !gateways.includes('mesh')) continue;
    for (const scope of scopesOf(service))
      for (const host of service.spec.hosts ?? []) {
        const key = `${scope}/${set.qualify(host, service.metadata.namespace ?? 'default')}`;
        byHost.set(key, [...(byHost.get(key) ?? []), service]);
      }
  }
  const conflicts = [...byHost].map(([key, services]) => ({ scope: key.split('/')[0]!, host: key.slice(key.indexOf('/') + 1), services: [...services, ...(key.startsWith('*/') ? [] : (byHost.get(`*/${key.slice(key.indexOf('/') + 1)}`) ?? []))] }));
  const issues: Issue[] = [];
  const told = new Set<string>();
  for (const { host, services } of conflicts) {
    if (new Set(services).size < 2) continue;
    const names = services.map((service) => `${service.metadata.namespace ?? 'default'}/${service.metadata.name}`).join(',');
    for (const service of services) {
      const id = `${service.metadata.namespace}/${service.metadata.name} ${host}`;
      if (!told.has(id)) issues.push(message('IST0109', service, 'spec.hosts', [names, host], 'put the routes into one VirtualService'));
      told.add(id);
    }
  }
  return issues;
}

/** Namespaces whose sidecars the rule reaches; `*` is all of them. */
function scopesOf(service: VirtualService): readonly string[] {
  const { exportTo = [] } = service.spec;
  if (exportTo.length === 0 || exportTo.includes('*')) return ['*'];
  return exportTo.filter((target) => target !== '~').map((target) => (target === '.' ? (service.metadata.namespace ?? 'default') : target));
}
