/** `analyze`: every analyzer over one set of objects. Pure; the same function serves the command line and the console. */
import type { Issue } from '../base/issue.ts';
import type { KubeObject } from '../objects/meta.ts';
import { analyzeDestinationHosts, analyzeDestinationSubsets } from './analyzers/destinations.ts';
import { analyzeGatewaySelectors, analyzeVirtualServiceGateways } from './analyzers/gateways.ts';
import { analyzeInjection } from './analyzers/injection.ts';
import { analyzeMeshHosts } from './analyzers/mesh-hosts.ts';
import { analyzeSchemas } from './analyzers/schema.ts';
import { type AnalysisOptions, ObjectSet } from './object-set.ts';

export type Analyzer = (set: ObjectSet) => readonly Issue[];

/** The analyzers under the names `analyze -L` prints, which are Istio's. */
export const ANALYZERS: Readonly<Record<string, Analyzer>> = {
  'gateway.SelectorAnalyzer': analyzeGatewaySelectors,
  'injection.Analyzer': analyzeInjection,
  'schema.ValidationAnalyzer': analyzeSchemas,
  'virtualservice.ConflictingMeshGatewayHostsAnalyzer': analyzeMeshHosts,
  'virtualservice.DestinationHostAnalyzer': analyzeDestinationHosts,
  'virtualservice.DestinationRuleAnalyzer': analyzeDestinationSubsets,
  'virtualservice.GatewayAnalyzer': analyzeVirtualServiceGateways,
};

/** Runs the analyzers (all by default). Issues of ignored namespaces and equal ones are dropped; order is by severity, code, object. */
export function analyze(objects: readonly KubeObject[], options: AnalysisOptions & { readonly analyzers?: readonly string[] } = {}): readonly Issue[] {
  const set = new ObjectSet(objects, options);
  const seen = new Set<string>();
  const issues = Object.entries(ANALYZERS)
    .filter(([name]) => options.analyzers?.includes(name) ?? true)
    .flatMap(([, analyzer]) => analyzer(set))
    .filter((issue) => !set.isIgnored(issue.object.namespace))
    .filter((issue) => {
      const key = `${issue.code} ${issue.object.kind} ${issue.object.namespace}/${issue.object.name} ${issue.path} ${issue.message}`;
      return !seen.has(key) && seen.add(key);
    });
  return issues.sort((a, b) => RANK[a.severity] - RANK[b.severity] || compare(a.code, b.code) || compare(`${a.object.namespace}/${a.object.name}`, `${b.object.namespace}/${b.object.name}`));
}

const RANK = { error: 0, warning: 1, info: 2 } as const;

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
