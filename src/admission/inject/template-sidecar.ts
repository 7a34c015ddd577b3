// Template `sidecar`: istio-init (or istio-validation beside a CNI plugin) and istio-proxy.
import {
  annotated, appContainers, canonicalLabels, excludedInboundPorts, holdsApplication, imageOf, interceptionMode, logLevelArgs, proxyCapabilities, proxyValues, pullPolicy, resources,
  statusPort,
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
    labels: {
      'security.istio.io/tlsMode': input.labels['security.istio.io/tlsMode'] || 'istio',
      ...(input.proxyConfig.proxyMetadata['ISTIO_META_ENABLE_HBONE'] === 'true' ? { 'networking.istio.io/tunnel': input.labels['networking.istio.io/tunnel'] || 'http' } : {}),
      ...canonicalLabels(input),
    },
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
  copy('includeInboundPorts', values.includeInboundPorts, true);
  result[`${TRAFFIC}excludeInboundPorts`] = excludedInboundPorts(input);
  copy('includeOutboundPorts', values.includeOutboundPorts, Object.hasOwn(input.annotations, `${TRAFFIC}includeOutboundPorts`));
  copy('excludeOutboundPorts', values.excludeOutboundPorts, Object.hasOwn(input.annotations, `${TRAFFIC}excludeOutboundPorts`));
  copy('excludeInterfaces', undefined);
  for (const name of [`${TRAFFIC}kubevirtInterfaces`, 'istio.io/reroute-virtual-interfaces']) if (input.annotations[name]) result[name] = input.annotations[name];
  return result;
}

/** Adds `default/<name>` to a Multus network list, in whichever of its two notations the list is, unless it is there. */
function withNetwork(existing: string | undefined, name: string): string {
  if (existing === undefined || existing.trim() === '') return `default/${name}`;
  const text = existing.trim();
  if (text.split(',').some((one) => one.trim() === `default/${name}`)) return existing;
  if (!text.startsWith('[')) return `${text}, default/${name}`;
  const networks = parseList(text);
  if (networks === undefined || networks.some((one) => one['name'] === name && one['namespace'] === 'default')) return existing;
  return `${text.replace(/\s*\]$/, '')}${networks.length > 0 ? ', ' : ''}{"name": "${name}", "namespace": "default"}]`;
}

function parseList(text: string): readonly JsonObject[] | undefined {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((one) => typeof one === 'object' && one !== null) ? (list as JsonObject[]) : undefined;
  } catch {
    return undefined;
  }
}

/** Whose connections the rules let out. A proxy that intercepts transparently is root, so 1337 stands for it whatever the namespace says. */
function interceptUid(input: TemplateInput): { readonly uid: number; readonly gid: number } {
  return interceptionMode(input) === 'TPROXY' ? { uid: 1337, gid: 1337 } : { uid: input.proxyUid, gid: input.proxyGid };
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
        ? { readOnlyRootFilesystem: true, runAsGroup: interceptUid(input).gid, runAsUser: interceptUid(input).uid, runAsNonRoot: true }
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
    'istio-iptables', '-p', String(input.context.meshConfig.proxyListenPort || 15001), '-z', String(input.context.meshConfig.proxyInboundListenPort || 15006),
    '-u', String(interceptUid(input).uid), '-m', interceptionMode(input),
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
  // A native sidecar outlives the application: it starts draining when it is told, not when the application is already gone.
  if (input.nativeSidecar) return { preStop: { exec: { command: ['pilot-agent', 'request', `--debug-port=${statusPort(input)}`, 'POST', 'drain'] } } };
  return holdsApplication(input) ? { postStart: { exec: { command: ['pilot-agent', 'wait'] } } } : undefined;
}

function securityContext(input: TemplateInput): JsonObject {
  const privileged = proxyValues(input).privileged ?? false;
  const seccomp = proxyValues(input).seccompProfile ?? {};
  const seccompProfile = Object.keys(seccomp).length > 0 ? { seccompProfile: seccomp } : {};
  // Rules that trace packets need a proxy that may read the kernel's log.
  if (input.proxyConfig.proxyMetadata['IPTABLES_TRACE_LOGGING'] === 'true')
    return { allowPrivilegeEscalation: true, capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] }, privileged: true, readOnlyRootFilesystem: true, runAsGroup: input.proxyGid, runAsNonRoot: false, runAsUser: 0, ...seccompProfile };
  const add = proxyCapabilities(input);
  return {
    allowPrivilegeEscalation: privileged, privileged,
    capabilities: { ...(add.length > 0 ? { add } : {}), drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    ...(add.length > 0 ? { runAsNonRoot: false, runAsUser: 0, runAsGroup: 1337 } : { runAsNonRoot: true, runAsUser: input.proxyUid, runAsGroup: input.proxyGid }),
    ...seccompProfile,
  };
}
