// Template `sidecar`: istio-init (or istio-validation beside a CNI plugin) and istio-proxy.
import {
  annotated, appContainers, canonicalLabels, excludedInboundPorts, imageOf, interceptionMode, logLevelArgs, proxyValues, pullPolicy, resources, statusPort,
  type TemplateInput, type TemplateResult,
} from './template-input.ts';
import { metadataEnv, proxyContainer, proxyVolumes, pullSecrets } from './template-proxy.ts';
import type { Container, JsonObject } from './types.ts';

const TRAFFIC = 'traffic.sidecar.istio.io/';

/** Renders the template. */
export function renderSidecar(input: TemplateInput): TemplateResult {
  const init = interceptionMode(input) === 'NONE' ? [] : [initContainer(input)];
  const proxy = sidecarContainer(input);
  return {
    labels: { 'security.istio.io/tlsMode': input.labels['security.istio.io/tlsMode'] ?? 'istio', ...canonicalLabels(input) },
    annotations: annotations(input),
    spec: {
      ...(input.nativeSidecar ? { initContainers: [...init, proxy] } : { ...(init.length > 0 ? { initContainers: init } : {}), containers: [proxy] }),
      volumes: proxyVolumes(input, 'sidecar'),
      ...pullSecrets(input),
    },
  };
}

function cniEnabled(input: TemplateInput): boolean {
  return input.context.values.pilot?.cni?.enabled === true;
}

function annotations(input: TemplateInput): Record<string, string> {
  const result: Record<string, string> = { 'istio.io/rev': input.context.revision || 'default' };
  const first = appContainers(input)[0];
  for (const name of ['kubectl.kubernetes.io/default-logs-container', 'kubectl.kubernetes.io/default-container'])
    if (first !== undefined && !Object.hasOwn(input.annotations, name)) result[name] = first;
  if (!cniEnabled(input)) return result;
  // The CNI plugin reads what istio-init would have got as arguments.
  const values = proxyValues(input);
  if (input.context.values.pilot?.cni?.provider === 'multus') result['k8s.v1.cni.cncf.io/networks'] = withNetwork(input.annotations['k8s.v1.cni.cncf.io/networks'], 'istio-cni');
  result['sidecar.istio.io/interceptionMode'] = interceptionMode(input);
  const copy = (name: string, value: string | undefined, always = false): void => {
    const text = annotated(input, `${TRAFFIC}${name}`, value);
    if (text !== '' || always) result[`${TRAFFIC}${name}`] = text;
  };
  copy('includeOutboundIPRanges', values.includeIPRanges);
  copy('excludeOutboundIPRanges', values.excludeIPRanges);
  copy('includeInboundPorts', values.includeInboundPorts);
  result[`${TRAFFIC}excludeInboundPorts`] = excludedInboundPorts(input);
  copy('includeOutboundPorts', values.includeOutboundPorts, Object.hasOwn(input.annotations, `${TRAFFIC}includeOutboundPorts`));
  copy('excludeOutboundPorts', values.excludeOutboundPorts, Object.hasOwn(input.annotations, `${TRAFFIC}excludeOutboundPorts`));
  return result;
}

/** Adds `default/<name>` to a Multus network list, in whichever of its two notations the list is. */
function withNetwork(existing: string | undefined, name: string): string {
  if (existing === undefined || existing.trim() === '') return `default/${name}`;
  const text = existing.trim();
  if (text.startsWith('[')) return `${text.replace(/\s*\]$/, '')}, {"name": "${name}", "namespace": "default"}]`;
  return `${text}, default/${name}`;
}

function initContainer(input: TemplateInput): Container {
  const global = input.context.values.global ?? {};
  const cni = cniEnabled(input);
  const env = metadataEnv(input);
  const privileged = global.proxy?.privileged ?? false;
  const seccomp = global.proxy?.seccompProfile ?? {};
  return {
    name: cni ? 'istio-validation' : 'istio-init',
    image: imageOf(input, global.proxy_init?.image),
    args: initArgs(input),
    ...pullPolicy(input),
    ...(env.length > 0 ? { env } : {}),
    resources: resources(input),
    securityContext: {
      allowPrivilegeEscalation: privileged, privileged,
      capabilities: { ...(cni ? {} : { add: ['NET_ADMIN', 'NET_RAW'] }), drop: ['ALL'] },
      ...(cni
        ? { readOnlyRootFilesystem: true, runAsGroup: input.proxyGid, runAsUser: input.proxyUid, runAsNonRoot: true }
        : { readOnlyRootFilesystem: false, runAsGroup: 0, runAsNonRoot: false, runAsUser: 0 }),
      ...(Object.keys(seccomp).length > 0 ? { seccompProfile: seccomp } : {}),
    },
  };
}

function initArgs(input: TemplateInput): string[] {
  const values = proxyValues(input);
  const global = input.context.values.global ?? {};
  const excluded = excludedInboundPorts(input);
  const args = [
    'istio-iptables', '-p', String(input.context.meshConfig.proxyListenPort || 15001), '-z', '15006', '-u', String(input.proxyUid), '-m', interceptionMode(input),
    '-i', annotated(input, `${TRAFFIC}includeOutboundIPRanges`, values.includeIPRanges ?? '*'),
    '-x', annotated(input, `${TRAFFIC}excludeOutboundIPRanges`, values.excludeIPRanges),
    '-b', annotated(input, `${TRAFFIC}includeInboundPorts`, values.includeInboundPorts ?? '*'),
    '-d', excluded === '' ? '15090,15021' : `15090,15021,${excluded}`,
  ];
  const optional = (flag: string, name: string, value: string | undefined): void => {
    if (Object.hasOwn(input.annotations, name) || (value ?? '') !== '') args.push(flag, annotated(input, name, value));
  };
  optional('-q', `${TRAFFIC}includeOutboundPorts`, values.includeOutboundPorts);
  optional('-o', `${TRAFFIC}excludeOutboundPorts`, values.excludeOutboundPorts);
  // The annotation was renamed; the old name still works.
  const reroute = input.annotations['istio.io/reroute-virtual-interfaces'] ?? input.annotations[`${TRAFFIC}kubevirtInterfaces`];
  if (reroute !== undefined) args.push('-k', reroute);
  optional('-c', `${TRAFFIC}excludeInterfaces`, undefined);
  args.push(...logLevelArgs(input));
  if (global.logAsJson) args.push('--log_as_json');
  if (global.nativeNftables) args.push('--native-nftables');
  if (cniEnabled(input)) args.push('--run-validation', '--skip-rule-apply');
  else if (global.proxy_init?.forceApplyIptables) args.push('--force-apply');
  return args;
}

function sidecarContainer(input: TemplateInput): Container {
  const values = proxyValues(input);
  const startup = values.startupProbe;
  const concurrency = input.proxyConfig.concurrency;
  const base = proxyContainer(input, 'sidecar');
  const lifecycle = lifecycleOf(input);
  return {
    ...base,
    ...(concurrency !== undefined && concurrency > 0 ? { args: [...(base['args'] as string[]), '--concurrency', String(concurrency)] } : {}),
    ...(input.nativeSidecar ? { restartPolicy: 'Always' } : {}),
    ...(lifecycle ? { lifecycle } : {}),
    ...(statusPort(input) === '0' || startup?.enabled === false
      ? {}
      : { startupProbe: { httpGet: { path: '/healthz/ready', port: 15021 }, periodSeconds: 1, timeoutSeconds: 3, failureThreshold: startup?.failureThreshold ?? 600 } }),
    securityContext: securityContext(input),
  };
}

function lifecycleOf(input: TemplateInput): JsonObject | undefined {
  const values = proxyValues(input);
  if (values.lifecycle) return values.lifecycle;
  const hold = input.proxyConfig.holdApplicationUntilProxyStarts ?? values.holdApplicationUntilProxyStarts ?? false;
  // A native sidecar outlives the application: it starts draining when it is told, not when the application is already gone.
  if (input.nativeSidecar) return { preStop: { exec: { command: ['pilot-agent', 'request', `--debug-port=${statusPort(input)}`, 'POST', 'drain'] } } };
  return hold ? { postStart: { exec: { command: ['pilot-agent', 'wait'] } } } : undefined;
}

function securityContext(input: TemplateInput): JsonObject {
  const privileged = proxyValues(input).privileged ?? false;
  const seccomp = proxyValues(input).seccompProfile ?? {};
  const tproxy = interceptionMode(input) === 'TPROXY';
  const bindsLowPorts = annotated(input, 'sidecar.istio.io/capNetBindService', '') === 'true';
  const add = [...(tproxy ? ['NET_ADMIN'] : []), ...(bindsLowPorts ? ['NET_BIND_SERVICE'] : [])];
  return {
    allowPrivilegeEscalation: privileged, privileged,
    capabilities: { ...(add.length > 0 ? { add } : {}), drop: ['ALL'] },
    readOnlyRootFilesystem: true, runAsGroup: input.proxyGid,
    ...(add.length > 0 ? { runAsNonRoot: false, runAsUser: 0 } : { runAsNonRoot: true, runAsUser: input.proxyUid }),
    ...(Object.keys(seccomp).length > 0 ? { seccompProfile: seccomp } : {}),
  };
}
