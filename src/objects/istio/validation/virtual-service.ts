import type { L4MatchAttributes, RouteDestination, TLSMatchAttributes, VirtualService } from '../virtual-service.ts';
import { checkDestination, checkExportTo, checkTotalWeight } from './common.ts';
import type { Findings } from './findings.ts';
import { checkHttpRoute } from './http-route.ts';
import { fqdnProblem, hostsOverlap, hostSubsetOf, isDnsLabel, isIpAddress, labelsMapProblem, portProblem, subnetProblem, wildcardDomainProblem } from './names.ts';
import { checkUnreachable } from './unreachable.ts';

export function checkVirtualService(findings: Findings, service: VirtualService): void {
  const { spec } = service;
  const isDelegate = !spec.hosts?.length;
  const gateways = spec.gateways ?? [];
  if (isDelegate) {
    if (gateways.length > 0) findings.error('spec.gateways', 'delegate virtual service must have no gateways specified', 'a virtual service without hosts is a delegate; add hosts or remove gateways');
    if (spec.tls?.length) findings.error('spec.tls', 'delegate virtual service must have no tls route specified');
    if (spec.tcp?.length) findings.error('spec.tcp', 'delegate virtual service must have no tcp route specified');
  }
  checkGatewayNames(findings, 'spec.gateways', gateways);
  checkHosts(findings, spec.hosts ?? [], gateways.length === 0 || gateways.includes('mesh'));
  if (!spec.http?.length && !spec.tcp?.length && !spec.tls?.length) findings.error('spec', 'http, tcp or tls must be provided in virtual service');
  const forGateways = gateways.some((gateway) => gateway !== 'mesh');
  spec.http?.forEach((route, index) => {
    const path = `spec.http[${index}]`;
    if (route.delegate && !forGateways) findings.error(`${path}.delegate`, 'http delegate only applies to gateway', 'add a gateway to spec.gateways');
    checkHttpRoute(findings, path, route, isDelegate);
    route.match?.forEach((match, at) => checkMatchScope(findings, `${path}.match[${at}]`, match));
  });
  checkUnreachable(findings, spec);
  spec.tls?.forEach((route, index) => {
    const path = `spec.tls[${index}]`;
    if (route.match.length === 0) findings.error(`${path}.match`, 'TLS route must have at least one match condition');
    route.match.forEach((match, at) => checkTlsMatch(findings, `${path}.match[${at}]`, match, spec.hosts ?? []));
    checkDestinations(findings, `${path}.route`, route.route, 'TLS');
  });
  spec.tcp?.forEach((route, index) => {
    const path = `spec.tcp[${index}]`;
    route.match?.forEach((match, at) => checkL4Match(findings, `${path}.match[${at}]`, match));
    checkDestinations(findings, `${path}.route`, route.route, 'TCP');
  });
  checkExportTo(findings, spec.exportTo, service.metadata.namespace);
}

function checkHosts(findings: Findings, hosts: readonly string[], forMesh: boolean): void {
  let allValid = true;
  hosts.forEach((host, index) => {
    const path = `spec.hosts[${index}]`;
    const problem = isIpAddress(host) ? undefined : wildcardDomainProblem(host);
    if (problem) findings.error(path, problem);
    else if (forMesh && host === '*') findings.error(path, 'wildcard host * is not allowed for virtual services bound to the mesh gateway', 'name the hosts, or bind the virtual service to a gateway only');
    else return;
    allValid = false;
  });
  if (!allValid) return;
  hosts.forEach((host, index) => {
    const other = hosts.slice(0, index).find((earlier) => hostsOverlap(earlier.toLowerCase(), host.toLowerCase()));
    if (other !== undefined) findings.error(`spec.hosts[${index}]`, `duplicate hosts in virtual service: ${other} & ${host}`, 'keep the wider one');
  });
}

function checkGatewayNames(findings: Findings, path: string, gateways: readonly string[] | undefined): void {
  gateways?.forEach((gateway, index) => {
    const at = `${path}[${index}]`;
    const slash = gateway.indexOf('/');
    if (slash < 0) {
      findings.problem(at, fqdnProblem(gateway));
      const [name, namespace] = gateway.split('.');
      if (namespace) findings.deprecated(at, `using legacy gatewayName format "${gateway}"`, `prefer the <namespace>/<name> format: "${namespace}/${name}"`);
      return;
    }
    const namespace = gateway.slice(0, slash);
    const name = gateway.slice(slash + 1);
    if (namespace === '' || name === '') findings.error(at, 'config namespace and gateway name cannot be empty');
    else if (namespace !== '.' && !isDnsLabel(namespace)) findings.error(at, `invalid value for namespace: "${namespace}"`);
    else if (!isDnsLabel(name)) findings.error(at, `invalid value for gateway name: "${name}"`);
  });
}

interface MatchScope {
  readonly port?: number;
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly gateways?: readonly string[];
  readonly sourceNamespace?: string;
}

/** What every kind of match may say about where it applies. */
function checkMatchScope(findings: Findings, path: string, match: MatchScope): void {
  if (match.port) findings.problem(`${path}.port`, portProblem(match.port));
  findings.problem(`${path}.sourceLabels`, labelsMapProblem(match.sourceLabels));
  checkGatewayNames(findings, `${path}.gateways`, match.gateways);
  if (match.sourceNamespace && !isDnsLabel(match.sourceNamespace)) findings.error(`${path}.sourceNamespace`, `sourceNamespace match ${match.sourceNamespace} is invalid`);
}

function checkL4Match(findings: Findings, path: string, match: Pick<L4MatchAttributes, 'destinationSubnets'> & MatchScope): void {
  match.destinationSubnets?.forEach((subnet, index) => findings.problem(`${path}.destinationSubnets[${index}]`, subnetProblem(subnet)));
  checkMatchScope(findings, path, match);
}

const EAST_WEST_SNI = /^outbound_\.\d+_\..*_\..+$/;

function checkTlsMatch(findings: Findings, path: string, match: TLSMatchAttributes, hosts: readonly string[]): void {
  if (match.sniHosts.length === 0) findings.error(`${path}.sniHosts`, 'TLS match must have at least one SNI host');
  match.sniHosts.forEach((sni, index) => {
    const at = `${path}.sniHosts[${index}]`;
    const problem = isIpAddress(sni) || EAST_WEST_SNI.test(sni) ? undefined : wildcardDomainProblem(sni);
    if (problem) findings.error(at, problem);
    else if (!hosts.some((host) => hostSubsetOf(sni, host))) findings.error(at, `SNI host "${sni}" is not a compatible subset of any of the virtual service hosts: [${hosts.join(', ')}]`);
  });
  checkL4Match(findings, path, match);
}

function checkDestinations(findings: Findings, path: string, routes: readonly RouteDestination[] | undefined, of: 'TCP' | 'TLS'): void {
  if (!routes?.length) findings.error(path, `${of} route is required`);
  routes?.forEach((route, index) => {
    checkDestination(findings, `${path}[${index}].destination`, route.destination);
    if ((route.weight ?? 0) < 0) findings.error(`${path}[${index}].weight`, `weight ${route.weight} < 0`);
  });
  checkTotalWeight(findings, path, routes ?? []);
}
