/** The `traffic` corpus: Istio's own expectations of where calls go, asked of our xDS. @see ../shared/conformance/README.md */
import { simulate, type SimulatedCall } from '../../../src/analysis/simulate.ts';
import { parseProxyNode } from '../../../src/model/proxy-node.ts';
import { viewOf, type ProxyView } from '../../../src/model/view.ts';
import type { KubeObject } from '../../../src/objects/meta.ts';
import { resolve } from '../../../src/resolve/resolve.ts';
import { routeNamesIn, translateListeners } from '../../../src/translate/listeners.ts';
import { translateRoutes } from '../../../src/translate/routes.ts';
import { join } from 'node:path';
import { readYaml } from '../corpus.ts';
import { fail, type Judge, PASS } from '../judge.ts';

interface Case {
  readonly name: string;
  readonly config?: string;
  readonly kubeConfig?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly proxy: { readonly type: string; readonly namespace: string; readonly labels: Record<string, string>; readonly ipAddresses: string[]; readonly metadata?: Record<string, string> };
  readonly calls?: readonly { readonly name: string; readonly call: Record<string, unknown>; readonly result: Record<string, unknown>; readonly knownBug?: boolean }[];
  readonly routeConfig?: string;
  readonly clustersByDomain?: Readonly<Record<string, readonly string[] | null>>;
}

function readObjects(folder: string, file: string | undefined): KubeObject[] {
  if (!file) return [];
  return [...readYaml<KubeObject>(join(folder, file))];
}

function viewFor(folder: string, spec: Case): ProxyView {
  const { snapshot } = resolve({
    objects: [...readObjects(folder, spec.config), ...readObjects(folder, spec.kubeConfig)],
    configDomainSuffix: '',
  });
  const { type, namespace, labels, ipAddresses, metadata } = spec.proxy;
  const proxy = parseProxyNode({
    id: `${type}~${ipAddresses[0]}~test.${namespace}~${namespace}.svc.cluster.local`,
    metadata: { NAMESPACE: namespace, LABELS: labels, INSTANCE_IPS: ipAddresses.join(','), ...metadata },
  });
  if (!proxy) throw new Error('the proxy of the case has no readable id');
  return viewOf(snapshot, proxy);
}

function clustersOf(view: ProxyView, routeConfig: string, domain: string): readonly string[] | null {
  const hosts = translateRoutes(view, [routeConfig])[0]?.virtualHosts ?? [];
  const host = hosts.find((candidate) => candidate.domains.includes(domain));
  if (!host) return null;
  const names = host.routes.flatMap((route) => {
    if (route.action.case !== 'route') return [];
    const specifier = route.action.value.clusterSpecifier;
    return specifier.case === 'cluster' ? [specifier.value] : specifier.case === 'weightedClusters' ? specifier.value.clusters.map((cluster) => cluster.name) : [];
  });
  return [...names].sort();
}

function toCall(raw: Record<string, unknown>): SimulatedCall {
  const { callMode, mtlsSecretConfigName, ...rest } = raw;
  return { ...rest, inbound: callMode === 'inbound', ...(typeof mtlsSecretConfigName === 'string' && { mtlsSecretName: mtlsSecretConfigName }) } as unknown as SimulatedCall;
}

const FIELDS: Readonly<Record<string, 'listener' | 'filterChain' | 'routeConfig' | 'virtualHost' | 'cluster'>> = {
  listenerMatched: 'listener', filterChainMatched: 'filterChain', routeConfigMatched: 'routeConfig', virtualHostMatched: 'virtualHost', clusterMatched: 'cluster',
};

function problemsOf(folder: string, spec: Case): string[] {
  const problems: string[] = [];
  const view = viewFor(folder, spec);
  if (spec.routeConfig !== undefined)
    for (const [domain, expected] of Object.entries(spec.clustersByDomain ?? {})) {
      const actual = clustersOf(view, spec.routeConfig, domain);
      if (JSON.stringify(actual) !== JSON.stringify(expected)) problems.push(`${domain}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
    }
  const listeners = translateListeners(view);
  const routes = new Map(translateRoutes(view, routeNamesIn(listeners)).map((table) => [table.name, table]));
  for (const { name, call, result, knownBug } of spec.calls ?? []) {
    if (knownBug) continue;
    const actual = simulate({ listeners, routes }, toCall(call));
    if ((actual.error ?? '') !== ((result['error'] as string | undefined) ?? '')) problems.push(`${name}: expected error "${String(result['error'] ?? '')}", got ${JSON.stringify(actual)}`);
    for (const [field, key] of Object.entries(FIELDS))
      if (result[field] !== undefined && result[field] !== actual[key]) problems.push(`${name}: expected ${field} ${String(result[field])}, got ${JSON.stringify(actual)}`);
  }
  return problems;
}

export const judge: Judge = {
  corpus: 'traffic',
  run: async (caseDir, caseJson) => {
    const problems = problemsOf(caseDir, caseJson as Case);
    return problems.length === 0 ? PASS : fail(problems.join('; '));
  },
};
