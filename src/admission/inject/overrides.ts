// Containers the user wrote under the names of injected ones: their fields win over the template's.
import { mergeStrategic } from './merge.ts';
import { canonicalQuantity } from './quantity.ts';
import type { Container, Json, JsonObject, Pod, PodSpec } from './types.ts';

const ANNOTATION = 'proxy.istio.io/overrides';

interface ParsedContainers {
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
}

type Kind = 'containers' | 'initContainers';

/** Applies the overrides over the merged pod and notes them in an annotation, so that a second injection finds them again. */
export function applyOverrides(merged: Pod, original: Pod, template: PodSpec): Pod {
  const known = parseJson(original.metadata?.annotations?.[ANNOTATION]);
  const status = original.metadata?.annotations?.['sidecar.istio.io/status'];
  const found: Record<Kind, Container[]> = { containers: [], initContainers: [] };
  let spec: PodSpec = merged.spec ?? {};
  for (const kind of ['containers', 'initContainers'] as const) {
    for (const { name } of template[kind] ?? []) {
      const own = (known?.containers ?? []).find((one) => one.name === name) ?? (known?.initContainers ?? []).find((one) => one.name === name)
        ?? (status === undefined ? inPod(original, name) : undefined);
      if (!own) continue;
      const { image, ...rest } = own;
      // `image: auto` says: this is your container, with my changes.
      const overlay = (image === undefined || image === 'auto' ? rest : own) as Container;
      found[kind].push(overlay);
      spec = { ...spec, [kind]: (spec[kind] ?? []).map((container) => (container.name === name ? mergeStrategic(templateOf(template, kind, container), overlay) : container)) };
    }
  }
  spec = dropMoved(spec, template);
  if (status !== undefined || found.containers.length + found.initContainers.length === 0) return { ...merged, spec };
  const text = overridesJson(found);
  return { ...merged, metadata: { ...merged.metadata, annotations: { ...merged.metadata?.annotations, [ANNOTATION]: text } }, spec };
}

/** The template's container, so that fields of a list the user replaced do not come back through the first merge. */
function templateOf(template: PodSpec, kind: Kind, container: Container): Container {
  return (template[kind] ?? []).find((one) => one.name === container.name) ?? container;
}

/** A native sidecar is an init container: the user's `istio-proxy` among the containers was its override, not a second proxy. */
function dropMoved(spec: PodSpec, template: PodSpec): PodSpec {
  const moved = (template.initContainers ?? []).some((one) => one.name === 'istio-proxy');
  return moved ? { ...spec, containers: (spec.containers ?? []).filter((one) => one.name !== 'istio-proxy') } : spec;
}

function inPod(pod: Pod, name: string): Container | undefined {
  return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].find((one) => one.name === name);
}

function parseJson(text: string | undefined): ParsedContainers | undefined {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as ParsedContainers;
  } catch {
    return undefined;
  }
}

/** Field order of Kubernetes' own serialisation, so that the annotation is the same text whoever writes it. */
const ORDER = [
  'name', 'image', 'command', 'args', 'workingDir', 'ports', 'envFrom', 'env', 'resources', 'resizePolicy', 'restartPolicy', 'volumeMounts', 'volumeDevices', 'livenessProbe',
  'readinessProbe', 'startupProbe', 'lifecycle', 'terminationMessagePath', 'terminationMessagePolicy', 'imagePullPolicy', 'securityContext', 'stdin', 'stdinOnce', 'tty',
  'hostPort', 'containerPort', 'protocol', 'value', 'valueFrom', 'limits', 'requests', 'readOnly', 'mountPath', 'subPath', 'mountPropagation', 'subPathExpr',
  'exec', 'httpGet', 'tcpSocket', 'grpc', 'path', 'port', 'host', 'scheme', 'httpHeaders', 'initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold',
  'postStart', 'preStop', 'capabilities', 'privileged', 'seLinuxOptions', 'windowsOptions', 'runAsUser', 'runAsGroup', 'runAsNonRoot', 'readOnlyRootFilesystem',
  'allowPrivilegeEscalation', 'procMount', 'seccompProfile', 'appArmorProfile',
];

function overridesJson(found: Record<Kind, Container[]>): string {
  const parts: Record<string, Json> = {};
  for (const kind of ['containers', 'initContainers'] as const) if (found[kind].length > 0) parts[kind] = found[kind].map((container) => ordered({ ...container, resources: quantities(container['resources']) }));
  return JSON.stringify(parts);
}

function quantities(resources: Json | undefined): JsonObject {
  return Object.fromEntries(Object.entries((resources as JsonObject | undefined) ?? {}).map(([kind, list]) => [
    kind,
    kind === 'limits' || kind === 'requests' ? Object.fromEntries(Object.entries((list as JsonObject | null) ?? {}).map(([name, value]) => [name, canonicalQuantity(String(value))])) : list,
  ]));
}

function ordered(value: Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => ordered(item));
  if (typeof value !== 'object' || value === null) return value;
  const rank = (key: string): number => (ORDER.includes(key) ? ORDER.indexOf(key) : ORDER.length);
  return Object.fromEntries(Object.entries(value as JsonObject).filter(([, member]) => member !== undefined).sort(([a], [b]) => rank(a) - rank(b)).map(([key, member]) => [key, ordered(member as Json)]));
}
