import type { EnvoyConfigObjectMatch, EnvoyConfigObjectPatch, EnvoyFilter } from '../envoy-filter.ts';
import { checkNetworkingSelector, checkTargetReferences } from './common.ts';
import type { Findings } from './findings.ts';
import { portProblem, regexProblem } from './names.ts';

const HCM = ['envoy.filters.network.http_connection_manager', 'envoy.http_connection_manager'];

/** Which match each kind of object can have. */
const MATCH_OF: Readonly<Record<string, 'listener' | 'routeConfiguration' | 'cluster'>> = {
  LISTENER: 'listener',
  FILTER_CHAIN: 'listener',
  NETWORK_FILTER: 'listener',
  HTTP_FILTER: 'listener',
  LISTENER_FILTER: 'listener',
  ROUTE_CONFIGURATION: 'routeConfiguration',
  VIRTUAL_HOST: 'routeConfiguration',
  HTTP_ROUTE: 'routeConfiguration',
  CLUSTER: 'cluster',
};
const CLASS_NAMES = { listener: 'listener class objects cannot have non listener match', routeConfiguration: 'http route class objects cannot have non route configuration match', cluster: 'cluster class objects cannot have non cluster match' };

export function checkEnvoyFilter(findings: Findings, filter: EnvoyFilter): void {
  const { workloadSelector, targetRefs, configPatches } = filter.spec;
  findings.warn('', 'EnvoyFilter exposes internal implementation details that may change at any time', 'prefer other APIs if possible, and exercise extreme caution, especially around upgrades');
  if (filter.spec.workloadLabels) findings.warn('spec.workloadLabels', 'workloadLabels is the form of Istio 1.2', 'use workloadSelector.labels');
  if (filter.spec.filters?.length) findings.warn('spec.filters', 'filters is the form of Istio 1.2; it is read as patches of HTTP_FILTER', 'use configPatches with applyTo: HTTP_FILTER');
  if (workloadSelector && targetRefs?.length) findings.error('spec', 'only one of targetRefs or workloadSelector can be set');
  checkNetworkingSelector(findings, 'spec.workloadSelector', workloadSelector);
  checkTargetReferences(findings, 'spec.targetRefs', targetRefs);
  configPatches?.forEach((patch, index) => checkPatch(findings, `spec.configPatches[${index}]`, patch));
}

function checkPatch(findings: Findings, path: string, { applyTo, match, patch }: EnvoyConfigObjectPatch): void {
  if (applyTo === undefined || applyTo === 'INVALID') findings.error(`${path}.applyTo`, 'Envoy filter: missing applyTo');
  if (!patch) findings.error(`${path}.patch`, 'Envoy filter: missing patch');
  else if (patch.operation === undefined || patch.operation === 'INVALID') findings.error(`${path}.patch.operation`, 'Envoy filter: missing patch operation');
  else if (patch.operation !== 'REMOVE' && patch.value === undefined) findings.error(`${path}.patch.value`, 'Envoy filter: missing patch value for non-remove operation');
  if (match) checkMatch(findings, `${path}.match`, match, applyTo);
}

function checkMatch(findings: Findings, path: string, match: EnvoyConfigObjectMatch, applyTo: EnvoyConfigObjectPatch['applyTo']): void {
  if (match.proxy?.proxyVersion) findings.problem(`${path}.proxy.proxyVersion`, regexProblem(match.proxy.proxyVersion));
  const given = (['listener', 'routeConfiguration', 'cluster', 'waypoint'] as const).filter((kind) => match[kind] !== undefined);
  if (given.length > 1) findings.error(path, `only one of listener, routeConfiguration, cluster and waypoint can be set, not ${given.join(' and ')}`);
  if (match.context === 'WAYPOINT') {
    if (!match.waypoint) findings.error(path, 'only support waypointMatch when context is WAYPOINT', 'match with waypoint');
  } else if (match.waypoint) findings.error(path, 'waypoint match needs context WAYPOINT');
  const port = match.waypoint?.portNumber;
  if (port !== undefined) findings.problem(`${path}.waypoint.portNumber`, portProblem(port));
  const expected = applyTo === undefined ? undefined : MATCH_OF[applyTo];
  const kind = given[0];
  if (expected && kind && kind !== 'waypoint' && kind !== expected) findings.error(path, `Envoy filter: applyTo for ${CLASS_NAMES[expected]}`);
  const filter = match.listener?.filterChain?.filter;
  if (!filter || expected !== 'listener') return;
  const at = `${path}.listener.filterChain.filter`;
  if (applyTo === 'LISTENER' || applyTo === 'FILTER_CHAIN') findings.warn(at, `Envoy filter: filter match has no effect when used with ${applyTo}`);
  if (!filter.name) findings.error(`${at}.name`, 'Envoy filter: filter match has no name to match on');
  else if (filter.subFilter) {
    if (applyTo !== 'HTTP_FILTER') findings.error(`${at}.subFilter`, 'Envoy filter: subfilter match can be used with applyTo HTTP_FILTER only');
    else if (!HCM.includes(filter.name)) findings.error(`${at}.name`, `Envoy filter: subfilter match requires filter match with ${HCM[0]}`);
    else if (!filter.subFilter.name) findings.error(`${at}.subFilter.name`, 'Envoy filter: subfilter match has no name to match on');
  }
}
