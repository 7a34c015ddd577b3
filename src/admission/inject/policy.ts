// Whether a pod gets a sidecar at all, and whether its annotations make sense.
import { isIP } from './net.ts';
import type { InjectionContext, JsonObject, Pod } from './types.ts';

/** Namespaces that belong to Kubernetes itself. */
const SYSTEM_NAMESPACES = new Set(['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage']);

/** Why a pod is left alone, or undefined when it is injected. `subject` names the workload, `Deployment "ns/name"`. */
export function skipReason(pod: Pod, namespace: string, subject: string, context: InjectionContext): string | undefined {
  if (pod.spec?.['hostNetwork'] === true) return `Skipping injection because ${subject} has host networking enabled`;
  if (SYSTEM_NAMESPACES.has(namespace)) return `Skipping injection because ${subject} is in a Kubernetes system namespace`;
  const labels = pod.metadata?.labels ?? {};
  const wish = labels['sidecar.istio.io/inject'] ?? pod.metadata?.annotations?.['sidecar.istio.io/inject'] ?? '';
  if (wish === 'true') return undefined;
  // Anything but the two words counts as not said.
  if (wish === 'false') return `Skipping injection because ${subject} has sidecar injection disabled (sidecar.istio.io/inject: ${JSON.stringify(wish)})`;
  const webhook = context.values.sidecarInjectorWebhook;
  if ((webhook?.neverInjectSelector ?? []).some((selector) => matchesSelector(selector, labels))) return `Skipping injection because ${subject} matches neverInjectSelector`;
  if ((webhook?.alwaysInjectSelector ?? []).some((selector) => matchesSelector(selector, labels))) return undefined;
  return (context.values.global?.proxy?.autoInject ?? 'enabled') === 'enabled' ? undefined : `Skipping injection because the policy is disabled and ${subject} does not ask for it`;
}

function matchesSelector(selector: JsonObject, labels: Readonly<Record<string, string>>): boolean {
  const exact = Object.entries((selector['matchLabels'] as Readonly<Record<string, string>> | undefined) ?? {});
  const expressions = (selector['matchExpressions'] as readonly { key: string; operator: string; values?: readonly string[] }[] | undefined) ?? [];
  // An empty selector would match every pod; Istio treats it as matching none.
  if (exact.length === 0 && expressions.length === 0) return false;
  return exact.every(([key, value]) => labels[key] === value) && expressions.every(({ key, operator, values = [] }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (operator === 'Exists') return value !== undefined;
    if (operator === 'DoesNotExist') return value === undefined;
    if (operator === 'In') return value !== undefined && values.includes(value);
    return operator === 'NotIn' && (value === undefined || !values.includes(value));
  });
}

type Check = (value: string) => boolean;

const isPort: Check = (text) => /^\d{1,5}$/.test(text.trim()) && Number(text) <= 65535;
const isPortList: Check = (text) => text.trim() === '' || text.split(',').every(isPort);
const isCidr: Check = (text) => {
  const [address, length, rest] = text.split('/');
  const family = isIP(address ?? '');
  return rest === undefined && family !== 0 && length !== undefined && /^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128);
};
const isCidrList: Check = (text) => text === '' || text.split(',').every(isCidr);
const isUnsigned: Check = (text) => /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32;
const isBoolean: Check = (text) => /^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(text);
const isJsonMap: Check = (text) => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
};

const CHECKS: Readonly<Record<string, Check>> = {
  'sidecar.istio.io/interceptionMode': (text) => ['REDIRECT', 'TPROXY', 'NONE'].includes(text),
  'status.sidecar.istio.io/port': isPort,
  'readiness.status.sidecar.istio.io/initialDelaySeconds': isUnsigned,
  'readiness.status.sidecar.istio.io/periodSeconds': isUnsigned,
  'readiness.status.sidecar.istio.io/failureThreshold': isUnsigned,
  'traffic.sidecar.istio.io/includeOutboundIPRanges': (text) => text === '*' || isCidrList(text),
  'traffic.sidecar.istio.io/excludeOutboundIPRanges': isCidrList,
  'traffic.sidecar.istio.io/includeInboundPorts': (text) => text === '*' || isPortList(text),
  'traffic.sidecar.istio.io/excludeInboundPorts': isPortList,
  'traffic.sidecar.istio.io/includeOutboundPorts': isPortList,
  'traffic.sidecar.istio.io/excludeOutboundPorts': isPortList,
  'prometheus.istio.io/merge-metrics': isBoolean,
  'sidecar.istio.io/statsCompression': isBoolean,
  'sidecar.istio.io/userVolume': isJsonMap,
  'sidecar.istio.io/userVolumeMount': isJsonMap,
};

const PORTS = 'wants port numbers with commas between';
const CIDRS = 'wants CIDRs with commas between';

/** What an annotation takes, under the name that Istio's own messages call the setting. */
const WANTED: Readonly<Record<string, string>> = {
  'sidecar.istio.io/interceptionMode': 'interceptionMode wants REDIRECT, TPROXY or NONE',
  'status.sidecar.istio.io/port': 'the status port wants a port number',
  'readiness.status.sidecar.istio.io/initialDelaySeconds': 'wants a whole number',
  'readiness.status.sidecar.istio.io/periodSeconds': 'wants a whole number',
  'readiness.status.sidecar.istio.io/failureThreshold': 'wants a whole number',
  'traffic.sidecar.istio.io/includeOutboundIPRanges': `includeIPRanges ${CIDRS}, or *`,
  'traffic.sidecar.istio.io/excludeOutboundIPRanges': `excludeIPRanges ${CIDRS}`,
  'traffic.sidecar.istio.io/includeInboundPorts': `includeInboundPorts ${PORTS}, or *`,
  'traffic.sidecar.istio.io/excludeInboundPorts': `excludeInboundPorts ${PORTS}`,
  'traffic.sidecar.istio.io/includeOutboundPorts': `includeOutboundPorts ${PORTS}`,
  'traffic.sidecar.istio.io/excludeOutboundPorts': `excludeOutboundPorts ${PORTS}`,
  'sidecar.istio.io/userVolume': 'wants a JSON map',
  'sidecar.istio.io/userVolumeMount': 'wants a JSON map',
};

/** Annotations whose values cannot be used, as sentences. */
export function annotationProblems(annotations: Readonly<Record<string, string>>): string[] {
  return Object.entries(annotations)
    .filter(([name, value]) => Object.hasOwn(CHECKS, name) && !CHECKS[name]!(value))
    .map(([name, value]) => `invalid value ${JSON.stringify(value)} of annotation ${name}: ${WANTED[name] ?? 'wants true or false'}`);
}
