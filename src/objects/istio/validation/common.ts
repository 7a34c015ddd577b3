/** Checks of the parts that several Istio kinds share. */
import type { ClientTLSSettings, ConnectionPoolSettings, Destination, LocalityLoadBalancerSetting, NetworkingSelector, OutlierDetection, TargetReference, WorkloadSelector } from '../common.ts';
import type { Findings } from './findings.ts';
import { isDnsLabel, percentProblem, portProblem, wildcardDomainProblem } from './names.ts';

/** Labels of a selector: keys not empty, no wildcards. */
export function checkSelectorLabels(findings: Findings, path: string, labels: Readonly<Record<string, string>> | undefined): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    if (key === '') findings.error(path, 'key must not be empty');
    if (key.includes('*')) findings.error(path, `wildcard not allowed in label key match: "${key}"`);
    if (value.includes('*')) findings.error(`${path}.${key}`, `wildcard not allowed in label value match: "${value}"`);
  }
}

/** A selector by `matchLabels`. */
export function checkWorkloadSelector(findings: Findings, path: string, selector: WorkloadSelector | undefined): void {
  checkSelectorLabels(findings, `${path}.matchLabels`, selector?.matchLabels);
  if (selector && Object.keys(selector.matchLabels ?? {}).length === 0) findings.warn(path, 'workload selector specified without labels', 'add matchLabels, or leave the selector out');
}

interface Targeting {
  readonly selector?: WorkloadSelector;
  readonly targetRef?: TargetReference;
  readonly targetRefs?: readonly TargetReference[];
}

const TARGET_KINDS: ReadonlySet<string> = new Set(['/Service', 'networking.istio.io/ServiceEntry', 'gateway.networking.k8s.io/Gateway', 'gateway.networking.k8s.io/GatewayClass']);

/** What a policy applies to: a selector or target references, not both. */
export function checkTargeting(findings: Findings, spec: Targeting): void {
  const given = [spec.selector, spec.targetRef, spec.targetRefs?.length ? spec.targetRefs : undefined].filter((part) => part !== undefined);
  if (given.length > 1) findings.error('spec', 'only one of targetRefs or selector can be set', 'keep one of selector, targetRef and targetRefs');
  checkWorkloadSelector(findings, 'spec.selector', spec.selector);
  if (spec.targetRef) checkTargetReference(findings, 'spec.targetRef', spec.targetRef);
  checkTargetReferences(findings, 'spec.targetRefs', spec.targetRefs);
}

export function checkTargetReferences(findings: Findings, path: string, references: readonly TargetReference[] | undefined): void {
  references?.forEach((reference, index) => checkTargetReference(findings, `${path}[${index}]`, reference));
}

function checkTargetReference(findings: Findings, path: string, reference: TargetReference): void {
  const group = reference.group === 'core' ? '' : (reference.group ?? '');
  if (reference.namespace) findings.error(`${path}.namespace`, 'cross namespace referencing is not currently supported', 'put the policy into the namespace of its target and leave namespace out');
  if (!TARGET_KINDS.has(`${group}/${reference.kind}`)) {
    findings.error(path, `unsupported target ${group}/${reference.kind}; support kinds are core/Service, networking.istio.io/ServiceEntry, gateway.networking.k8s.io/Gateway, gateway.networking.k8s.io/GatewayClass`);
  }
}

export function checkNetworkingSelector(findings: Findings, path: string, selector: NetworkingSelector | undefined): void {
  checkSelectorLabels(findings, `${path}.labels`, selector?.labels);
  if (selector && Object.keys(selector.labels ?? {}).length === 0) findings.warn(path, 'workload selector specified without labels, will be applied to all services in namespace', 'add labels, or leave the selector out');
}

/** `.`, `*` and namespaces, without duplicates; `~` only for service entries. */
export function checkExportTo(findings: Findings, exportTo: readonly string[] | undefined, namespace: string | undefined, mayHide = false): void {
  const seen = new Set<string>();
  exportTo?.forEach((entry, index) => {
    const path = `spec.exportTo[${index}]`;
    const key = entry === '.' && namespace !== undefined ? namespace : entry;
    if (seen.has(key)) findings.error(path, exportTo.indexOf(entry) < index ? `duplicate entries in exportTo for entry ${entry}` : `duplicate entries in exportTo: . and current namespace ${key}`);
    seen.add(key);
    if (entry === '~' ? !mayHide : entry !== '.' && entry !== '*' && !isDnsLabel(entry)) {
      findings.error(path, `only .,*, or a valid DNS 1123 label is allowed as exportTo entry, not "${entry}"`);
    }
  });
  if (seen.size > 1 && seen.has('*')) findings.error('spec.exportTo', 'cannot have both public (*) and non-public exportTo values for a resource', 'write * alone');
  if (seen.size > 1 && seen.has('~')) findings.error('spec.exportTo', 'cannot export service entry to no one (~) and someone');
}

export function checkDestination(findings: Findings, path: string, destination: Destination): void {
  if (destination.host === '*') findings.error(`${path}.host`, 'invalid destination host *');
  else findings.problem(`${path}.host`, wildcardDomainProblem(destination.host));
  if (destination.subset) findings.problem(`${path}.subset`, subsetNameProblem(destination.subset));
  if (destination.port) findings.problem(`${path}.port.number`, portProblem(destination.port.number ?? 0));
}

/** Of several destinations at least one must have a weight: otherwise the proxy refuses every route of the gateway. */
export function checkTotalWeight(findings: Findings, path: string, routes: readonly { readonly weight?: number }[]): void {
  const total = routes.reduce((sum, { weight }) => sum + (weight ?? 0), 0);
  if (routes.length > 1 && total === 0) findings.error(path, 'total destination weight = 0', 'give the destinations weights, 50 and 50 for example');
}

export function subsetNameProblem(name: string): string | undefined {
  if (name === '') return 'subset name cannot be empty';
  return isDnsLabel(name) ? undefined : `subset name is invalid: ${name}`;
}

const HTTP_LIMITS = ['http1MaxPendingRequests', 'http2MaxRequests', 'maxRequestsPerConnection', 'maxRetries', 'maxConcurrentStreams'] as const;

export function checkConnectionPool(findings: Findings, path: string, pool: ConnectionPoolSettings | undefined): void {
  if (!pool) return;
  if (!pool.http && !pool.tcp) findings.error(path, 'connection pool must have at least one field');
  for (const field of HTTP_LIMITS) if ((pool.http?.[field] ?? 0) < 0) findings.error(`${path}.http.${field}`, `${field} must be non-negative`);
  if ((pool.tcp?.maxConnections ?? 0) < 0) findings.error(`${path}.tcp.maxConnections`, 'max connections must be non-negative');
  if (pool.http?.h2UpgradePolicy === 'UPGRADE' && pool.http.useClientProtocol) findings.error(`${path}.http`, 'use client protocol must not be true when H2UpgradePolicy is UPGRADE');
}

export function checkOutlierDetection(findings: Findings, path: string, outlier: OutlierDetection | undefined): void {
  if (!outlier) return;
  findings.problem(`${path}.maxEjectionPercent`, percentProblem(outlier.maxEjectionPercent ?? 0));
  findings.problem(`${path}.minHealthPercent`, percentProblem(outlier.minHealthPercent ?? 0));
  if (outlier.consecutiveErrors) findings.deprecated(`${path}.consecutiveErrors`, 'outlier detection consecutiveErrors is deprecated', 'use consecutiveGatewayErrors or consecutive5xxErrors instead');
  if (!outlier.splitExternalLocalOriginErrors && (outlier.consecutiveLocalOriginFailures ?? 0) > 0) {
    findings.error(`${path}.consecutiveLocalOriginFailures`, 'outlier detection consecutiveLocalOriginFailures is specified, but splitExternalLocalOriginErrors is set to false', 'set splitExternalLocalOriginErrors: true');
  }
}

export function checkClientTls(findings: Findings, path: string, tls: ClientTLSSettings | undefined): void {
  if (!tls) return;
  const mode = tls.mode ?? 'DISABLE';
  if (tls.insecureSkipVerify && (mode === 'SIMPLE' || mode === 'MUTUAL') && (tls.caCertificates || tls.subjectAltNames || (mode === 'SIMPLE' && tls.credentialName))) {
    findings.error(path, 'cannot specify caCertificates, credentialName or subjectAltNames when insecureSkipVerify is set true');
  }
  if ((mode === 'SIMPLE' || mode === 'MUTUAL') && tls.credentialName) {
    if (tls.clientCertificate || tls.caCertificates || tls.privateKey || tls.caCrl) {
      findings.error(path, 'cannot specify client certificates or CA certificate or CA CRL if credentialName is set', 'keep either credentialName or the files');
    }
    return;
  }
  if (mode === 'MUTUAL') {
    if (!tls.clientCertificate) findings.error(`${path}.clientCertificate`, 'client certificate required for mutual tls');
    if (!tls.privateKey) findings.error(`${path}.privateKey`, 'private key required for mutual tls');
  }
}

export function checkLocalityLbSetting(findings: Findings, path: string, setting: LocalityLoadBalancerSetting | undefined, hasOutlierDetection: boolean): void {
  if (!setting) return;
  const { distribute = [], failover = [], failoverPriority = [] } = setting;
  if (distribute.length > 0 && failover.length > 0) findings.error(path, `can not simultaneously specify 'distribute' and 'failover'`);
  if (failover.length > 0) {
    const topology = failoverPriority.find((label) => ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.istio.io/subzone'].includes(label));
    if (topology) findings.error(`${path}.failoverPriority`, `can not simultaneously set 'failover' and topology label '${topology}' in 'failoverPriority'`);
  }
  distribute.forEach(({ to = {} }, index) => {
    const weights = Object.values(to);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    if (weights.some((weight) => weight < 1 || weight > 100)) findings.error(`${path}.distribute[${index}].to`, 'locality weight must be in range [1, 100]');
    else if (total !== 100) findings.error(`${path}.distribute[${index}].to`, `total locality weight ${total} != 100`);
    checkLocalities(findings, `${path}.distribute[${index}].to`, Object.keys(to));
  });
  checkLocalities(findings, `${path}.distribute`, distribute.map(({ from = '' }) => from));
  if ((failover.length > 0 || failoverPriority.length > 0) && !hasOutlierDetection) findings.warn(path, 'outlier detection policy must be provided for failover', 'add outlierDetection beside loadBalancer');
  failover.forEach(({ from = '', to = '' }, index) => {
    const at = `${path}.failover[${index}]`;
    if (from === to) findings.error(at, 'locality lb failover settings must specify different regions');
    if (from.includes('/') || to.includes('/')) findings.error(at, 'locality lb failover only specify region');
    if (from.includes('*') || to.includes('*')) findings.error(at, `locality lb failover region should not contain '*' wildcard`);
  });
}

/** No two localities of one list may cover the same place. */
function checkLocalities(findings: Findings, path: string, localities: readonly string[]): void {
  const seen: (readonly string[])[] = [];
  for (const locality of localities) {
    const stars = locality.split('*').length - 1;
    if (stars > 1 || (stars === 1 && !locality.endsWith('*'))) findings.error(path, `locality ${locality} wildcard '*' number can not exceed 1 and must be in the end`);
    const parts = locality.split('/', 3);
    if (parts.includes('')) findings.error(path, `locality ${locality} must not contain empty region/zone/subzone info`);
    if (seen.some((other) => overlap(other, parts))) findings.error(path, `locality ${locality} overlap with previous specified ones`);
    seen.push(parts);
  }
}

function overlap(a: readonly string[], b: readonly string[]): boolean {
  for (let i = 0; i < 3; i++) {
    const left = a[i] ?? '*';
    const right = b[i] ?? '*';
    if (left === '*' || right === '*') return true;
    if (left !== right) return false;
  }
  return true;
}
