/** ServiceEntries whose TCP ports cannot be told apart, and those that contradict each other. */
import type { Issue } from '../../base/issue.ts';
import type { ServiceEntry } from '../../objects/istio/service-entry.ts';
import { fullName, message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';

/** TCP is routed by address: without one, every TCP entry of that port looks the same. */
export function analyzeServiceEntryAddresses(set: ObjectSet): readonly Issue[] {
  const metadata = set.meshConfig.defaultConfig?.proxyMetadata ?? {};
  const isOn = (name: string) => String(metadata[name]) === 'true';
  if (isOn('ISTIO_META_DNS_CAPTURE') && (isOn('ISTIO_META_DNS_AUTO_ALLOCATE') || isOn('PILOT_ENABLE_IP_AUTOALLOCATE'))) return [];
  return set.of<ServiceEntry>('ServiceEntry').filter((entry) => !entry.spec.addresses?.length && !entry.status?.addresses?.length).flatMap((entry) =>
    (entry.spec.ports ?? []).flatMap(({ protocol, number }, index) => (!protocol || protocol.toUpperCase() === 'TCP'
      ? [message('IST0134', entry, `spec.ports[${index}]`, [], `set spec.addresses, or the protocol of port ${number} if it is not TCP`)]
      : [])));
}

interface Claim {
  readonly entry: ServiceEntry;
  readonly protocol: string;
  readonly index: number;
}

/** The same host and port with different protocols, as far as some namespace sees both. */
export function analyzeServiceEntryProtocols(set: ObjectSet): readonly Issue[] {
  const claims = new Map<string, Map<string, Claim[]>>();
  for (const entry of set.of<ServiceEntry>('ServiceEntry'))
    for (const scope of scopesOf(entry))
      for (const host of entry.spec.hosts ?? [])
        for (const [index, { number, protocol = '' }] of (entry.spec.ports ?? []).entries()) {
          const key = `${host} ${number}`;
          const scopes = claims.get(key) ?? new Map<string, Claim[]>();
          claims.set(key, scopes);
          scopes.set(scope, [...(scopes.get(scope) ?? []), { entry, protocol: protocol.toUpperCase(), index }]);
        }
  const told = new Set<ServiceEntry>();
  return [...claims].flatMap(([key, scopes]) => [...scopes].flatMap(([scope, own]) => {
    const all = scope === '*' ? own : [...own, ...(scopes.get('*') ?? [])];
    const protocols = [...new Set(all.map(({ protocol }) => protocol))].sort();
    if (protocols.length < 2) return [];
    const names = [...new Set(all.map(({ entry }) => fullName(entry)))].sort();
    const [host = '', port = ''] = key.split(' ');
    return all.filter(({ entry }) => !told.has(entry) && told.add(entry)).map(({ entry, index }) =>
      message('IST0177', entry, `spec.ports[${index}].protocol`, [names.join(', '), host, Number(port), protocols.join(', ')], `use one protocol for port ${port} of ${host}, or export the entries to different namespaces`));
  }));
}

function scopesOf({ spec, metadata }: ServiceEntry): readonly string[] {
  const { exportTo = [] } = spec;
  if (exportTo.length === 0 || exportTo.includes('*')) return ['*'];
  return [...new Set(exportTo.map((target) => (target === '.' ? (metadata.namespace ?? '') : target)))];
}
