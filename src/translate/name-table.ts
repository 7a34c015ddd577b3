import { create } from '@bufbuild/protobuf';
import { NameTable_NameInfoSchema, NameTableSchema, type NameTable, type NameTable_NameInfo } from '../xds/gen/istio/nds/nds_pb.ts';
import { endpointsOf } from '../model/snapshot.ts';
import type { ProxyView } from '../model/view.ts';
import { isWildcard } from '../model/hostname.ts';

/**
 * What the agent's DNS proxy answers: service addresses; for headless services the pods' addresses and each pod's own name. The agent itself makes
 * the short forms (`reviews`, `reviews.default`, `reviews.default.svc`).
 */
export function translateNameTable(view: ProxyView): NameTable {
  const table: Record<string, NameTable_NameInfo> = {};
  for (const service of view.services) {
    const target = service.aliasOf ? view.byHostname.get(service.aliasOf) ?? service : service;
    const ips = target.addresses.filter((address) => !address.includes('/'));
    const endpoints = target.headless ? endpointsOf(view.snapshot, target).filter((endpoint) => endpoint.health === 'healthy') : [];
    const info = (addresses: readonly string[], name: string): NameTable_NameInfo => create(NameTable_NameInfoSchema, {
      ips: [...new Set(addresses)].sort(), registry: service.registry,
      ...(service.registry === 'Kubernetes' && { shortname: name, namespace: service.namespace }),
    });
    const all = target.headless ? endpoints.map((endpoint) => endpoint.address) : ips;
    if (all.length === 0 || (isWildcard(service.hostname) && service.addresses.length === 0)) continue;
    table[service.hostname] ??= info(all, service.name);
    for (const endpoint of endpoints) {
      if (!endpoint.hostname) continue;
      const hostname = `${endpoint.hostname}.${service.hostname}`;
      table[hostname] ??= info([endpoint.address], `${endpoint.hostname}.${service.name}`);
    }
  }
  return create(NameTableSchema, { table: Object.fromEntries(Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1))) });
}
