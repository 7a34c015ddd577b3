import type { ServerTLSSettings } from '../common.ts';
import type { Gateway, Server } from '../gateway.ts';
import { checkSelectorLabels } from './common.ts';
import type { Findings } from './findings.ts';
import { isDnsLabel, isHttpProtocol, isIpAddress, isPartialWildcard, isProtocol, isTlsProtocol, portProblem, unixPathProblem, wildcardDomainProblem } from './names.ts';

export function checkGateway(findings: Findings, gateway: Gateway): void {
  const { spec, metadata } = gateway;
  if (metadata.name && !isDnsLabel(metadata.name)) findings.error('metadata.name', `invalid gateway name: "${metadata.name}"`, 'use letters, digits and dashes only');
  if (!spec.servers?.length) findings.error('spec.servers', 'gateway must have at least one server');
  checkSelectorLabels(findings, 'spec.selector', spec.selector);
  const names = new Set<string>();
  spec.servers?.forEach((server, index) => {
    checkServer(findings, `spec.servers[${index}]`, server);
    if (names.has(server.port.name)) findings.error(`spec.servers[${index}].port.name`, `port names in servers must be unique: duplicate name ${server.port.name}`);
    names.add(server.port.name);
  });
}

function checkServer(findings: Findings, path: string, server: Server): void {
  if (server.hosts.length === 0) findings.error(`${path}.hosts`, 'server config must contain at least one host', 'hosts: ["*"] takes every host');
  server.hosts.forEach((host, index) => checkNamespacedHost(findings, `${path}.hosts[${index}]`, host, 'gateway'));
  const { port, tls, bind } = server;
  if (!isProtocol(port.protocol)) findings.error(`${path}.port.protocol`, `invalid protocol "${port.protocol}", supported protocols are HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, MONGO, TCP, TLS`);
  findings.problem(`${path}.port.number`, portProblem(port.number));
  if (port.name === '') findings.error(`${path}.port.name`, 'port name must be set');
  if (port.targetPort) findings.deprecated(`${path}.port.targetPort`, 'targetPort has no impact on Gateways');
  if (bind) {
    if (bind.startsWith('unix://')) findings.problem(`${path}.bind`, unixPathProblem(bind.slice('unix://'.length)));
    else if (!isIpAddress(bind)) findings.error(`${path}.bind`, `${bind} is not a valid IP`);
  }
  checkTlsFits(findings, path, server);
  if (tls) checkServerTls(findings, `${path}.tls`, tls);
}

function checkTlsFits(findings: Findings, path: string, { port, tls }: Server): void {
  if (isTlsProtocol(port.protocol)) {
    if (!tls) findings.error(`${path}.tls`, 'server must have TLS settings for HTTPS/TLS protocols');
    return;
  }
  if (!tls) return;
  const onlyRedirects = (tls.mode ?? 'PASSTHROUGH') === 'PASSTHROUGH' && !tls.caCertificates && !tls.privateKey && !tls.serverCertificate && !tls.credentialName;
  if (!isHttpProtocol(port.protocol)) findings.error(`${path}.tls`, 'server cannot have TLS settings for non HTTPS/TLS ports');
  else if (!onlyRedirects) findings.error(`${path}.tls`, 'server cannot have TLS settings for plain text HTTP ports', 'use protocol HTTPS, or keep httpsRedirect only');
}

const VERSIONS = ['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'];

/** TLS of a gateway server or a sidecar ingress listener. */
export function checkServerTls(findings: Findings, path: string, tls: ServerTLSSettings): void {
  const mode = tls.mode ?? 'PASSTHROUGH';
  if (tls.minProtocolVersion && tls.maxProtocolVersion && tls.maxProtocolVersion !== 'TLS_AUTO' && VERSIONS.indexOf(tls.minProtocolVersion) > VERSIONS.indexOf(tls.maxProtocolVersion)) {
    findings.error(path, `minProtocolVersion ${tls.minProtocolVersion} is above maxProtocolVersion ${tls.maxProtocolVersion}`);
  }
  const credentials = [tls.credentialName, tls.credentialNames?.length ? tls.credentialNames : undefined, tls.tlsCertificates?.length ? tls.tlsCertificates : undefined].filter(Boolean);
  if (credentials.length > 1) findings.error(path, 'only one of credentialName, credentialNames or tlsCertificates can be set');
  if ((tls.subjectAltNames?.length || tls.caCertificates) && mode === 'SIMPLE' && tls.subjectAltNames?.length) {
    findings.warn(`${path}.subjectAltNames`, 'subjectAltNames of clients are only checked in mode MUTUAL', 'use mode MUTUAL');
  }
  if (mode === 'ISTIO_MUTUAL') {
    if (tls.serverCertificate) findings.error(`${path}.serverCertificate`, 'ISTIO_MUTUAL TLS cannot have associated server certificate');
    if (tls.privateKey) findings.error(`${path}.privateKey`, 'ISTIO_MUTUAL TLS cannot have associated private key');
    if (tls.caCertificates) findings.error(`${path}.caCertificates`, 'ISTIO_MUTUAL TLS cannot have associated CA bundle');
    if (credentials.length > 0) findings.error(path, 'ISTIO_MUTUAL TLS cannot have associated credentialName');
    return;
  }
  if (mode === 'PASSTHROUGH' || mode === 'AUTO_PASSTHROUGH') {
    if (tls.serverCertificate || tls.privateKey || tls.caCertificates || credentials.length > 0) {
      findings.warn(path, `${mode} mode does not use certificates, they will be ignored`, 'use mode SIMPLE or MUTUAL to terminate TLS here');
    }
    return;
  }
  if (credentials.length > 0) {
    if (tls.caCertificates || tls.serverCertificate || tls.privateKey) findings.warn(path, 'credentialName is set, certificate files will be ignored');
    return;
  }
  if (!tls.serverCertificate) findings.error(`${path}.serverCertificate`, `${mode} TLS requires a server certificate`, 'set credentialName to the name of a Secret of type kubernetes.io/tls');
  if (!tls.privateKey) findings.error(`${path}.privateKey`, `${mode} TLS requires a private key`);
  if (mode !== 'SIMPLE' && !tls.caCertificates && !tls.caCertCredentialName) findings.error(`${path}.caCertificates`, `${mode} TLS requires a client CA bundle`);
}

/** `namespace/host`; for gateways the namespace may be left out. */
export function checkNamespacedHost(findings: Findings, path: string, text: string, of: 'gateway' | 'sidecar'): void {
  const slash = text.indexOf('/');
  if (slash < 0) {
    if (of === 'gateway') checkHostPart(findings, path, text, of);
    else findings.error(path, `host must be of form namespace/dnsName, not "${text}"`, `write "*/${text}"`);
    return;
  }
  // `~namespace/host` takes a host out again.
  const excluded = of === 'sidecar' && text.startsWith('~') && slash > 1;
  const namespace = text.slice(excluded ? 1 : 0, slash);
  const host = text.slice(slash + 1);
  if (namespace === '' || host === '') {
    findings.error(path, 'config namespace and dnsName in host entry cannot be empty');
    return;
  }
  const special = of === 'gateway' ? ['*', '.'] : ['*', '.', '~'];
  if (!special.includes(namespace) && !isDnsLabel(namespace)) findings.error(path, `invalid namespace value "${namespace}" in ${of}`);
  checkHostPart(findings, path, host, of);
}

function checkHostPart(findings: Findings, path: string, host: string, of: 'gateway' | 'sidecar'): void {
  if (of === 'gateway' && isIpAddress(host)) return;
  if (host !== '*' && !host.includes('.')) findings.error(path, `short names (non FQDN) are not allowed: "${host}"`, 'write the full name, <service>.<namespace>.svc.cluster.local');
  findings.problem(path, wildcardDomainProblem(host));
  if (isPartialWildcard(host)) findings.error(path, `partial wildcard "${host}" not allowed`);
}
