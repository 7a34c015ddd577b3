/** DestinationRules that verify no certificate, name no known host, or have subsets without pods. */
import type { Issue } from '../../base/issue.ts';
import type { ClientTLSSettings } from '../../objects/istio/common.ts';
import type { DestinationRule } from '../../objects/istio/destination-rule.ts';
import type { Node } from '../../objects/kubernetes/node.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { fullName, message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';
import { hasLabels } from '../selector.ts';

export function analyzeCaCertificates(set: ObjectSet): readonly Issue[] {
  return set.of<DestinationRule>('DestinationRule').flatMap((rule) => {
    const { host, trafficPolicy, workloadSelector } = rule.spec;
    const about = (mode: string) => [fullName(rule), rule.metadata.namespace ?? '', mode, host ?? ''];
    const blind = (tls: ClientTLSSettings | undefined) => isUnverified(tls, workloadSelector !== undefined);
    const fix = 'set caCertificates, for public hosts system: /etc/ssl/certs/ca-certificates.crt';
    const whole = blind(trafficPolicy?.tls) ? [message('IST0128', rule, 'spec.trafficPolicy.tls', about(trafficPolicy?.tls?.mode ?? ''), fix)] : [];
    const ports = (trafficPolicy?.portLevelSettings ?? []).flatMap(({ port, tls }, index) => (blind(tls)
      ? [message('IST0129', rule, `spec.trafficPolicy.portLevelSettings[${index}].tls`, [...about(tls?.mode ?? ''), port?.number === undefined ? '' : `number:${port.number}`], fix)]
      : []));
    return [...whole, ...ports];
  });
}

/** A credential brings its own authority, but only where the rule selects the workloads that may read it. */
function isUnverified(tls: ClientTLSSettings | undefined, selects: boolean): boolean {
  if (tls?.mode !== 'SIMPLE' && tls?.mode !== 'MUTUAL') return false;
  return !tls.caCertificates && !(tls.credentialName && selects);
}

/** Labels of a node that its pods' endpoints carry. */
const TOPOLOGY = ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.istio.io/subzone'];

export function analyzeSubsetPods(set: ObjectSet): readonly Issue[] {
  const labels = podLabels(set);
  return set.of<DestinationRule>('DestinationRule').flatMap((rule) => {
    const namespace = rule.metadata.namespace ?? 'default';
    const { host, exportTo } = rule.spec;
    const viewers = [namespace, ...(exportTo ?? []).filter((target) => target !== '*' && target !== '.' && target !== '~')];
    const target = viewers.map((viewer) => set.findHost(host, namespace, viewer)).find((found) => found !== undefined);
    if (!target && host?.startsWith('*') && set.hasHostUnder(host)) return [];
    if (!target) return [message('IST0174', rule, 'spec.host', [host], 'name a Service or ServiceEntry host that this namespace sees')];
    if (!set.knowsPods) return [];
    return (rule.spec.subsets ?? []).flatMap((subset, index) => (labels.some((own) => hasLabels(own, { ...target.workloadLabels, ...subset.labels }))
      ? []
      : [message('IST0173', rule, `spec.subsets[${index}].labels`, [subset.name], 'use labels of pods that run')]));
  });
}

function podLabels(set: ObjectSet): readonly Readonly<Record<string, string>>[] {
  const nodes = new Map(set.of<Node>('Node').map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
  return set.of<Pod>('Pod').map(({ metadata, spec }) => {
    const node = nodes.get(spec.nodeName ?? '');
    if (!node) return metadata.labels ?? {};
    return { ...metadata.labels, ...Object.fromEntries(TOPOLOGY.flatMap((key) => (node[key] === undefined ? [] : [[key, node[key]]]))), 'kubernetes.io/hostname': spec.nodeName ?? '' };
  });
}
