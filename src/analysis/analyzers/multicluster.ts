/** Meshes of several clusters: networks of unknown registries, and services that differ between clusters. */
import type { Issue } from '../../base/issue.ts';
import type { Secret } from '../../objects/kubernetes/secret.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { fullName, message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';

const REGISTRIES = ['Mock', 'Kubernetes', 'External'];

export function analyzeMeshNetworks(set: ObjectSet): readonly Issue[] {
  const remote = set.of<Secret>('Secret').filter(({ metadata }) => metadata.labels?.['istio/multiCluster'] === 'true').flatMap(({ data, stringData }) => [...Object.keys(data ?? {}), ...Object.keys(stringData ?? {})]);
  const known = [...REGISTRIES, ...remote];
  const settings: KubeObject = { apiVersion: '', kind: 'MeshNetworks', metadata: { name: 'meshnetworks', namespace: set.istioNamespace } };
  return Object.entries(set.meshNetworks.networks ?? {}).flatMap(([network, { endpoints }]) => (endpoints ?? []).flatMap(({ fromRegistry }, index) => (!fromRegistry || known.includes(fromRegistry)
    ? []
    : [message('IST0126', settings, `networks.${network}.endpoints[${index}].fromRegistry`, [fromRegistry, network], `one of ${known.join(', ')}; a remote cluster needs its secret (istioctl create-remote-secret)`)])));
}

/** Services of one name that are not the same everywhere: calls then fail in some clusters only. */
export function analyzeMulticlusterServices(set: ObjectSet): readonly Issue[] {
  const byName = new Map<string, Map<string, Service>>();
  for (const [cluster, own] of set.clusters)
    for (const service of own.of<Service>('Service')) {
      const name = fullName(service);
      byName.set(name, (byName.get(name) ?? new Map<string, Service>()).set(cluster, service));
    }
  return [...byName.values()].flatMap((services) => {
    const [first, ...others] = [...services.values()];
    if (!first || others.length === 0) return [];
    const reasons = [...new Set(others.flatMap((other) => differences(first, other)))].sort();
    if (reasons.length === 0) return [];
    const { name, namespace = '' } = first.metadata;
    return [message('IST0170', first, 'spec', [name, namespace, [...services.keys()], reasons.join('; ')], 'apply the same Service in every cluster')];
  });
}

function differences({ spec: one }: Service, { spec: other }: Service): readonly string[] {
  return [
    ...((one.clusterIP === 'None') !== (other.clusterIP === 'None') ? ['service has mixed mode like headless and clusterIP'] : []),
    ...((one.type ?? 'ClusterIP') !== (other.type ?? 'ClusterIP') ? ['service type is inconsistent'] : []),
    ...(portsText(one) !== portsText(other) ? ['service ports are inconsistent'] : []),
  ];
}

/** Ports in one order; node ports are each cluster's own. */
function portsText({ ports }: Service['spec']): string {
  const texts = (ports ?? []).map(({ name, protocol, appProtocol, port, targetPort }) => JSON.stringify([name ?? '', protocol ?? 'TCP', appProtocol ?? '', port, targetPort ?? port]));
  return texts.sort().join();
}
