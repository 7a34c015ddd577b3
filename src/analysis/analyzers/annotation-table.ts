/** Istio's annotations on Kubernetes objects. @see https://istio.io/latest/docs/reference/config/annotations/ */
import { parse } from 'yaml';
import { messageOf } from '../../base/errors.ts';
import { meshProxyConfig } from '../../objects/istio/mesh-proxy-config.ts';
import { respell } from '../../objects/schema/spelling.ts';
import { validateSchema } from '../../objects/schema/validate.ts';

export interface AnnotationInfo {
  /** Kinds it may stand on; `Any` is every kind. */
  readonly kinds: readonly string[];
  readonly alpha: boolean;
  readonly deprecated: boolean;
  /** What is wrong with a value, or undefined. */
  readonly check?: (value: string) => string | undefined;
}

type Check = NonNullable<AnnotationInfo['check']>;

const alpha = (kind: string, check?: Check): AnnotationInfo => ({ kinds: [kind], alpha: true, deprecated: false, ...(check && { check }) });
const stable = (kind: string, check?: Check): AnnotationInfo => ({ ...alpha(kind, check), alpha: false });
const old = (kind: string): AnnotationInfo => ({ ...alpha(kind), deprecated: true });

const uint32: Check = (value) => (/^\d+$/.test(value) && Number(value) < 2 ** 32 ? undefined : `"${value}" is not a whole number`);
const boolean: Check = (value) => (['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value) ? undefined : `"${value}" is neither true nor false`);
/** A Kubernetes quantity, `500m`, `1Gi`, `2e3`. */
const quantity: Check = (value) => (/^[+-]?(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/.test(value) ? undefined : `"${value}" is not a quantity`);
const port: Check = (value) => (/^\d+$/.test(value.trim()) && Number(value) <= 65_535 ? undefined : `"${value}" is not a port`);
const listOf = (name: string, check: Check): Check => (value) => {
  const problem = value.trim() === '' ? undefined : value.split(',').map(check).find((found) => found !== undefined);
  return problem === undefined ? undefined : `${name} invalid: ${problem}`;
};
const orAll = (check: Check): Check => (value) => (value === '*' ? undefined : check(value));
const mode: Check = (value) => (['REDIRECT', 'TPROXY', 'NONE'].includes(value) ? undefined : `interceptionMode invalid, use REDIRECT,TPROXY,NONE: ${value}`);

function cidr(value: string): string | undefined {
  const [address = '', bits = '', rest] = value.split('/');
  const limit = isIpv4(address) ? 32 : isIpv6(address) ? 128 : -1;
  return rest === undefined && /^\d{1,3}$/.test(bits) && Number(bits) <= limit ? undefined : `failed parsing cidr '${value}'`;
}

/** Settings of one proxy, as YAML. */
function proxyConfig(value: string): string | undefined {
  let settings: unknown;
  try {
    settings = parse(value) ?? {};
  } catch (error) {
    return `failed to convert to apply proxy config: ${messageOf(error)}`;
  }
  const [wrong] = validateSchema(meshProxyConfig, respell(meshProxyConfig, settings));
  return wrong && `failed to convert to apply proxy config: ${wrong.path}: ${wrong.message}`;
}

/** Dotted decimal, four numbers up to 255. */
export function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** Eight groups of hex, one `::` standing for missing ones; the last two may be an IPv4 address. */
export function isIpv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1) ?? '';
  const plain = isIpv4(last) ? groups.slice(0, -1) : groups;
  const count = plain.length + (isIpv4(last) ? 2 : 0);
  return plain.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) && (halves.length === 2 ? count < 8 : count === 8);
}

/** Name → what is known of it. */
export const ANNOTATIONS: ReadonlyMap<string, AnnotationInfo> = new Map<string, AnnotationInfo>([
  ['alpha.istio.io/canonical-serviceaccounts', old('Service')],
  ['alpha.istio.io/kubernetes-serviceaccounts', old('Service')],
  ['ambient.istio.io/bypass-inbound-capture', alpha('Pod')],
  ['ambient.istio.io/dns-capture', alpha('Pod')],
  ['ambient.istio.io/redirection', stable('Pod')],
  ['ambient.istio.io/waypoint-inbound-binding', { ...alpha('Gateway'), kinds: ['GatewayClass', 'Gateway'] }],
  ['galley.istio.io/analyze-suppress', alpha('Any')],
  ['gateway.istio.io/controller-version', alpha('Any')],
  ['gateway.istio.io/name-override', alpha('Gateway')],
  ['gateway.istio.io/service-account', alpha('Gateway')],
  ['inject.istio.io/templates', alpha('Pod')],
  ['istio.io/autoRegistrationGroup', alpha('WorkloadEntry')],
  ['istio.io/connectedAt', alpha('WorkloadEntry')],
  ['istio.io/disconnectedAt', alpha('WorkloadEntry')],
  ['istio.io/dry-run', alpha('AuthorizationPolicy')],
  ['istio.io/reroute-virtual-interfaces', alpha('Pod')],
  ['istio.io/rev', alpha('Pod')],
  ['istio.io/use-waypoint-canary-weight', { ...alpha('Service'), kinds: ['Service', 'ServiceEntry', 'Namespace'] }],
  ['istio.io/workloadController', alpha('WorkloadEntry')],
  ['kubernetes.io/ingress.class', stable('Ingress')],
  ['networking.istio.io/address-type', alpha('Gateway')],
  ['networking.istio.io/exportTo', alpha('Service')],
  ['networking.istio.io/service-type', alpha('Gateway')],
  ['networking.istio.io/traffic-distribution', { ...alpha('Service'), kinds: ['Service', 'ServiceEntry', 'Namespace'] }],
  ['prometheus.istio.io/merge-metrics', alpha('Pod', boolean)],
  ['proxy.istio.io/config', stable('Pod', proxyConfig)],
  ['proxy.istio.io/overrides', alpha('Pod')],
  ['readiness.status.sidecar.istio.io/applicationPorts', alpha('Pod')],
  ['readiness.status.sidecar.istio.io/failureThreshold', alpha('Pod', uint32)],
  ['readiness.status.sidecar.istio.io/initialDelaySeconds', alpha('Pod', uint32)],
  ['readiness.status.sidecar.istio.io/periodSeconds', alpha('Pod', uint32)],
  ['sidecar.istio.io/agentLogLevel', alpha('Pod')],
  ['sidecar.istio.io/bootstrapOverride', alpha('Pod')],
  ['sidecar.istio.io/componentLogLevel', alpha('Pod')],
  ['sidecar.istio.io/discoveryAddress', old('Pod')],
  ['sidecar.istio.io/enableCoreDump', alpha('Pod')],
  ['sidecar.istio.io/extraStatTags', old('Pod')],
  ['sidecar.istio.io/inject', { ...stable('Pod'), deprecated: true }],
  ['sidecar.istio.io/interceptionMode', alpha('Pod', mode)],
  ['sidecar.istio.io/logLevel', alpha('Pod')],
  ['sidecar.istio.io/nativeSidecar', alpha('Pod')],
  ['sidecar.istio.io/proxyCPU', alpha('Pod', quantity)],
  ['sidecar.istio.io/proxyCPULimit', alpha('Pod', quantity)],
  ['sidecar.istio.io/proxyImage', alpha('Pod')],
  ['sidecar.istio.io/proxyImageType', alpha('Pod')],
  ['sidecar.istio.io/proxyMemory', alpha('Pod', quantity)],
  ['sidecar.istio.io/proxyMemoryLimit', alpha('Pod', quantity)],
  ['sidecar.istio.io/rewriteAppHTTPProbers', alpha('Pod')],
  ['sidecar.istio.io/statsCompression', old('Pod')],
  ['sidecar.istio.io/statsEvictionInterval', alpha('Pod')],
  ['sidecar.istio.io/statsFlushInterval', alpha('Pod')],
  ['sidecar.istio.io/statsHistogramBins', alpha('Pod')],
  ['sidecar.istio.io/statsHistogramBuckets', alpha('Pod')],
  ['sidecar.istio.io/statsInclusionPrefixes', old('Pod')],
  ['sidecar.istio.io/statsInclusionRegexps', old('Pod')],
  ['sidecar.istio.io/statsInclusionSuffixes', old('Pod')],
  ['sidecar.istio.io/status', alpha('Pod')],
  ['sidecar.istio.io/userVolume', alpha('Pod')],
  ['sidecar.istio.io/userVolumeMount', alpha('Pod')],
  ['status.sidecar.istio.io/port', alpha('Pod', port)],
  ['topology.istio.io/controlPlaneClusters', alpha('Namespace')],
  ['traffic.istio.io/nodeSelector', stable('Service')],
  ['traffic.sidecar.istio.io/excludeInboundPorts', alpha('Pod', listOf('excludeInboundPorts', port))],
  ['traffic.sidecar.istio.io/excludeInterfaces', alpha('Pod')],
  ['traffic.sidecar.istio.io/excludeOutboundIPRanges', alpha('Pod', listOf('excludeIPRanges', cidr))],
  ['traffic.sidecar.istio.io/excludeOutboundPorts', alpha('Pod', listOf('excludeOutboundPorts', port))],
  ['traffic.sidecar.istio.io/includeInboundPorts', alpha('Pod', orAll(listOf('includeInboundPorts', port)))],
  ['traffic.sidecar.istio.io/includeOutboundIPRanges', alpha('Pod', orAll(listOf('includeIPRanges', cidr)))],
  ['traffic.sidecar.istio.io/includeOutboundPorts', alpha('Pod')],
  ['traffic.sidecar.istio.io/kubevirtInterfaces', old('Pod')],
]);
