import type { DestinationRule, LoadBalancerSettings, PortTrafficPolicy, TrafficPolicy } from '../destination-rule.ts';
import { checkClientTls, checkConnectionPool, checkExportTo, checkLocalityLbSetting, checkOutlierDetection, checkWorkloadSelector, subsetNameProblem } from './common.ts';
import type { Findings } from './findings.ts';
import { fqdnProblem, isIpAddress, labelsMapProblem, portProblem, wildcardDomainProblem } from './names.ts';

export function checkDestinationRule(findings: Findings, rule: DestinationRule): void {
  const { spec } = rule;
  findings.problem('spec.host', wildcardDomainProblem(spec.host));
  if (spec.trafficPolicy) checkTrafficPolicy(findings, 'spec.trafficPolicy', spec.trafficPolicy);
  const names = new Set<string>();
  spec.subsets?.forEach((subset, index) => {
    const path = `spec.subsets[${index}]`;
    findings.problem(`${path}.name`, subsetNameProblem(subset.name));
    if (names.has(subset.name)) findings.error(`${path}.name`, `duplicate subset names: ${subset.name}`, 'give every subset its own name');
    names.add(subset.name);
    findings.problem(`${path}.labels`, labelsMapProblem(subset.labels));
    if (subset.trafficPolicy) checkTrafficPolicy(findings, `${path}.trafficPolicy`, subset.trafficPolicy);
  });
  checkExportTo(findings, spec.exportTo, rule.metadata.namespace);
  checkWorkloadSelector(findings, 'spec.workloadSelector', spec.workloadSelector);
  if (spec.workloadSelector && spec.exportTo?.some((entry) => entry !== '.' && entry !== rule.metadata.namespace)) {
    findings.error('spec.exportTo', 'a destination rule with a workloadSelector is only visible in its own namespace', 'write exportTo: ["."] or leave it out');
  }
}

const BLOCKS = ['connectionPool', 'loadBalancer', 'outlierDetection', 'tls'] as const;

function checkTrafficPolicy(findings: Findings, path: string, policy: TrafficPolicy): void {
  const { portLevelSettings, tunnel, proxyProtocol, retryBudget } = policy;
  if (BLOCKS.every((block) => policy[block] === undefined) && !portLevelSettings && !tunnel && !proxyProtocol && !retryBudget) {
    findings.error(path, 'traffic policy must have at least one field');
  }
  checkBlocks(findings, path, policy);
  portLevelSettings?.forEach((settings, index) => {
    const at = `${path}.portLevelSettings[${index}]`;
    if (!settings.port) findings.error(`${at}.port`, 'portTrafficPolicy must have valid port');
    else findings.problem(`${at}.port.number`, portProblem(settings.port.number ?? 0));
    if (BLOCKS.every((block) => settings[block] === undefined)) findings.error(at, 'port traffic policy must have at least one field');
    checkBlocks(findings, at, settings);
  });
  if (tunnel && proxyProtocol) findings.error(path, 'tunnel and proxyProtocol must not be set together', 'keep one of them');
  if (tunnel) {
    if (tunnel.protocol && !['CONNECT', 'POST'].includes(tunnel.protocol)) findings.error(`${path}.tunnel.protocol`, `tunnel protocol must be "CONNECT" or "POST", not "${tunnel.protocol}"`);
    if (!isIpAddress(tunnel.targetHost)) findings.problem(`${path}.tunnel.targetHost`, fqdnProblem(tunnel.targetHost));
    findings.problem(`${path}.tunnel.targetPort`, portProblem(tunnel.targetPort));
  }
}

function checkBlocks(findings: Findings, path: string, policy: Pick<PortTrafficPolicy, (typeof BLOCKS)[number]>): void {
  checkConnectionPool(findings, `${path}.connectionPool`, policy.connectionPool);
  checkOutlierDetection(findings, `${path}.outlierDetection`, policy.outlierDetection);
  checkClientTls(findings, `${path}.tls`, policy.tls);
  if (policy.loadBalancer) checkLoadBalancer(findings, `${path}.loadBalancer`, policy.loadBalancer, policy.outlierDetection !== undefined);
}

const MAGLEV_MAX = 5_000_011;

function checkLoadBalancer(findings: Findings, path: string, settings: LoadBalancerSettings, hasOutlierDetection: boolean): void {
  const { simple, consistentHash } = settings;
  if (simple !== undefined && consistentHash) findings.error(path, 'only one of simple and consistentHash can be set');
  if (simple === 'LEAST_CONN') findings.deprecated(`${path}.simple`, 'LEAST_CONN is deprecated', 'use LEAST_REQUEST');
  if (consistentHash) checkConsistentHash(findings, `${path}.consistentHash`, consistentHash);
  if (settings.warmupDurationSecs) findings.deprecated(`${path}.warmupDurationSecs`, 'warmupDurationSecs is deprecated', 'use warmup.duration');
  const warms = simple === undefined || ['UNSPECIFIED', 'ROUND_ROBIN', 'LEAST_REQUEST', 'LEAST_CONN'].includes(simple);
  if ((settings.warmup || settings.warmupDurationSecs) && (!warms || consistentHash)) findings.warn(`${path}.warmup`, 'warmup is only supported with ROUND_ROBIN and LEAST_REQUEST load balancers');
  checkLocalityLbSetting(findings, `${path}.localityLbSetting`, settings.localityLbSetting, hasOutlierDetection);
}

function checkConsistentHash(findings: Findings, path: string, hash: NonNullable<LoadBalancerSettings['consistentHash']>): void {
  const keys = [hash.httpHeaderName, hash.httpCookie, hash.useSourceIp, hash.httpQueryParameterName].filter((key) => key !== undefined);
  if (keys.length > 1) findings.error(path, 'only one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName can be set');
  if (hash.ringHash && hash.maglev) findings.error(path, 'only one of ringHash and maglev can be set');
  if (hash.httpCookie) {
    if (hash.httpCookie.name === '') findings.error(`${path}.httpCookie.name`, 'name required for HttpCookie');
  }
  if (hash.minimumRingSize !== undefined) findings.deprecated(`${path}.minimumRingSize`, 'consistent hash minimumRingSize is deprecated', 'use ringHash.minimumRingSize');
  if (hash.minimumRingSize && (hash.ringHash || hash.maglev)) findings.error(path, 'only one of minimumRingSize and ringHash or maglev can be set', 'keep ringHash or maglev');
  if (hash.maglev) {
    const { tableSize = 0 } = hash.maglev;
    if (tableSize === 0) findings.error(`${path}.maglev.tableSize`, 'tableSize must be set for maglev', 'Envoy\'s own default is 65537');
    else if (tableSize >= MAGLEV_MAX) findings.error(`${path}.maglev.tableSize`, `tableSize must be less than ${MAGLEV_MAX}`);
    else if (!isPrime(tableSize)) findings.error(`${path}.maglev.tableSize`, `tableSize must be a prime number for maglev, ${tableSize} is not`, 'write 65537');
  }
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}
