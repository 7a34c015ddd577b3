/** EnvoyFilter patches that Istio ignores, or whose effect depends on what else patches the same filter. */
import type { Issue } from '../../base/issue.ts';
import type { EnvoyConfigObjectPatch, EnvoyFilter } from '../../objects/istio/envoy-filter.ts';
import { message, type MessageCode } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';

const RELATIVE = ['REMOVE', 'REPLACE', 'INSERT_BEFORE', 'INSERT_AFTER'];
const ROUTES = ['ROUTE_CONFIGURATION', 'HTTP_ROUTE'];
const FILTERS = ['NETWORK_FILTER', 'HTTP_FILTER'];

const FIXES: Partial<Readonly<Record<MessageCode, string>>> = {
  IST0151: 'set spec.priority, or use INSERT_FIRST or ADD',
  IST0152: 'use MERGE, or REMOVE and ADD',
  IST0153: 'use MERGE on the existing route, or add a VirtualService',
  IST0154: 'patch the VIRTUAL_HOST, or change the VirtualService',
  IST0155: 'set spec.priority, or use INSERT_FIRST or ADD',
};

export function analyzeEnvoyFilters(set: ObjectSet): readonly Issue[] {
  // Filters that an earlier patch names together with a proxy version: during an upgrade only one of them may apply.
  const versioned = new Set<string>();
  const issues: Issue[] = [];
  for (const filter of set.of<EnvoyFilter>('EnvoyFilter'))
    for (const [index, entry] of (filter.spec.configPatches ?? []).entries()) {
      if (!entry.patch) break;
      const name = filterName(entry);
      const code = problemOf(entry, (filter.spec.priority ?? 0) !== 0, versioned.has(name));
      if (code) issues.push(message(code, filter, `spec.configPatches[${index}].patch.operation`, [], FIXES[code]));
      if (entry.match?.proxy?.proxyVersion) versioned.add(name);
    }
  return issues;
}

function problemOf({ patch, applyTo = 'INVALID' }: EnvoyConfigObjectPatch, hasPriority: boolean, isVersioned: boolean): MessageCode | undefined {
  const operation = patch?.operation ?? '';
  if (operation === 'ADD') return ROUTES.includes(applyTo) ? 'IST0153' : undefined;
  if (operation === 'REMOVE' && ROUTES.includes(applyTo)) return 'IST0154';
  if (operation === 'REPLACE' && !FILTERS.includes(applyTo)) return 'IST0152';
  if (!RELATIVE.includes(operation) || hasPriority) return undefined;
  return isVersioned ? 'IST0155' : 'IST0151';
}

/** What the patch puts in or looks for; empty when it names nothing. */
function filterName({ patch, match }: EnvoyConfigObjectPatch): string {
  if (!patch?.value) return '';
  const own = patch.value['name'];
  return typeof own === 'string' ? own : (match?.listener?.filterChain?.filter?.name ?? '');
}
