import type { IstioEgressListener, IstioIngressListener, Sidecar } from '../sidecar.ts';
import { checkConnectionPool, checkDestination, checkNetworkingSelector } from './common.ts';
import type { Findings } from './findings.ts';
import { checkNamespacedHost, checkServerTls } from './gateway.ts';
import { fqdnProblem, isDnsLabel, isIpAddress, isProtocol, portProblem, unixPathProblem } from './names.ts';

export function checkSidecar(findings: Findings, sidecar: Sidecar): void {
  const { spec } = sidecar;
  if (!spec.ingress?.length && !spec.egress?.length && !spec.outboundTrafficPolicy && !spec.inboundConnectionPool) {
    findings.error('spec', 'sidecar: empty configuration provided', 'add egress, ingress, outboundTrafficPolicy or inboundConnectionPool');
  }
  checkNetworkingSelector(findings, 'spec.workloadSelector', spec.workloadSelector);
  checkConnectionPool(findings, 'spec.inboundConnectionPool', spec.inboundConnectionPool);
  checkIngress(findings, spec.ingress ?? []);
  checkEgress(findings, spec.egress ?? []);
  const policy = spec.outboundTrafficPolicy;
  if (policy?.egressProxy) {
    const path = 'spec.outboundTrafficPolicy.egressProxy';
    if (policy.mode !== 'ALLOW_ANY') findings.error(path, 'sidecar: egress_proxy must be set only with ALLOW_ANY outbound_traffic_policy mode', 'set mode: ALLOW_ANY');
    findings.problem(`${path}.host`, fqdnProblem(policy.egressProxy.host));
    if (!policy.egressProxy.port) findings.error(`${path}.port`, 'sidecar: egress_proxy port must be non-nil');
    checkDestination(findings, path, policy.egressProxy);
  } else if (policy && policy.mode === undefined) {
    findings.warn('spec.outboundTrafficPolicy', 'an outboundTrafficPolicy without mode means REGISTRY_ONLY', 'write the mode');
  }
}

function checkIngress(findings: Findings, listeners: readonly IstioIngressListener[]): void {
  const ports = new Set<number>();
  listeners.forEach((listener, index) => {
    const path = `spec.ingress[${index}]`;
    const number = listener.port.number ?? 0;
    checkPort(findings, path, listener);
    findings.problem(`${path}.port.number`, portProblem(number));
    if (ports.has(number)) findings.error(`${path}.port.number`, 'sidecar: ports on IP bound listeners must be unique');
    ports.add(number);
    if (listener.bind && !isIpAddress(listener.bind)) findings.error(`${path}.bind`, `${listener.bind} is not a valid IP`);
    if (listener.defaultEndpoint) checkDefaultEndpoint(findings, `${path}.defaultEndpoint`, listener.defaultEndpoint);
    checkConnectionPool(findings, `${path}.connectionPool`, listener.connectionPool);
    if (!listener.tls) return;
    if (listener.tls.mode === 'ISTIO_MUTUAL' || listener.tls.mode === 'AUTO_PASSTHROUGH') findings.error(`${path}.tls.mode`, `configuration is invalid: cannot set mode to ${listener.tls.mode} in sidecar ingress tls`);
    checkServerTls(findings, `${path}.tls`, listener.tls);
  });
}

function checkDefaultEndpoint(findings: Findings, path: string, endpoint: string): void {
  if (endpoint.startsWith('unix://')) {
    findings.problem(path, unixPathProblem(endpoint.slice('unix://'.length)));
    return;
  }
  const match = /^(127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]|):(.*)$/.exec(endpoint);
  if (!match) findings.error(path, `sidecar: defaultEndpoint must be of form 127.0.0.1:<port>, 0.0.0.0:<port>, [::1]:<port>, [::]:<port> or unix:///path, not "${endpoint}"`);
  else findings.problem(path, /^\d+$/.test(match[2]!) ? portProblem(Number(match[2])) : `sidecar: defaultEndpoint port (${match[2]}) is not a number`);
}

function checkPort(findings: Findings, path: string, { port }: Pick<IstioEgressListener, 'port'>): void {
  if (!port) return;
  if (port.name && !isDnsLabel(port.name)) findings.error(`${path}.port.name`, `invalid port name: ${port.name}`);
  if (port.protocol && !isProtocol(port.protocol)) findings.error(`${path}.port.protocol`, `unsupported protocol: ${port.protocol}`);
}

function checkEgress(findings: Findings, listeners: readonly IstioEgressListener[]): void {
  const ports = new Set<number>();
  const sockets = new Set<string>();
  listeners.forEach((listener, index) => {
    const path = `spec.egress[${index}]`;
    const { port, bind, captureMode, hosts } = listener;
    if (!port) {
      if (index < listeners.length - 1) findings.error(path, 'sidecar: the egress listener with empty port should be the last listener in the list');
      if (bind) findings.error(`${path}.bind`, 'sidecar: a listener without port cannot have a bind address');
    } else if (port.number) {
      checkPort(findings, path, listener);
      findings.problem(`${path}.port.number`, portProblem(port.number));
      if (ports.has(port.number)) findings.error(`${path}.port.number`, 'sidecar: ports on IP bound listeners must be unique');
      ports.add(port.number);
      if (bind && !isIpAddress(bind)) findings.error(`${path}.bind`, `${bind} is not a valid IP`);
    } else {
      checkPort(findings, path, listener);
      if (!bind?.startsWith('unix://')) findings.error(`${path}.bind`, 'sidecar: ports with 0 value must have a unix domain socket bind address');
      else findings.problem(`${path}.bind`, unixPathProblem(bind.slice('unix://'.length)));
      if (captureMode === 'IPTABLES') findings.error(`${path}.captureMode`, 'sidecar: captureMode must be DEFAULT/NONE for unix domain socket listeners');
      if (bind && sockets.has(bind)) findings.error(`${path}.bind`, 'sidecar: unix domain socket values for listeners must be unique');
      if (bind) sockets.add(bind);
    }
    if (hosts.length === 0) findings.error(`${path}.hosts`, 'sidecar: egress listener must contain at least one host', 'hosts: ["./*"] is the own namespace');
    hosts.forEach((host, at) => checkNamespacedHost(findings, `${path}.hosts[${at}]`, host, 'sidecar'));
    if (hosts.some((host) => host.startsWith('~/')) && hosts.length > 1) findings.error(`${path}.hosts`, 'sidecar: a listener without hosts (~/*) cannot have others');
  });
}
