// Application probes go to the agent instead: with STRICT mutual TLS the kubelet could not reach the application itself.
import type { Container, Json, JsonObject } from './types.ts';

const PROBES = [
  ['livenessProbe', 'livez'],
  ['readinessProbe', 'readyz'],
  ['startupProbe', 'startupz'],
] as const;

const HOOKS = [
  ['postStart', 'poststartz'],
  ['preStop', 'prestopz'],
] as const;

/** What the agent must ask on behalf of the kubelet, by path: the value of ISTIO_KUBE_APP_PROBERS. */
export type AppProbers = Record<string, JsonObject>;

/** Which ports are captured, from the pod's annotations: probes of the others reach the application without help. */
export function capturedPorts(annotations: Readonly<Record<string, string>>): (port: number) => boolean {
  const ports = (name: string): Set<number> => new Set((annotations[`traffic.sidecar.istio.io/${name}`] ?? '').split(',').map(Number).filter((port) => port > 0));
  const include = annotations['traffic.sidecar.istio.io/includeInboundPorts'] ?? '';
  if (include !== '' && include !== '*') {
    const included = ports('includeInboundPorts');
    return (port) => included.size === 0 || included.has(port);
  }
  const excluded = ports('excludeInboundPorts');
  return (port) => !excluded.has(port);
}

/** Rewrites the probes of one container to `/app-health/<container>/…` on the status port and notes the originals. */
export function rewriteProbes(container: Container, statusPort: number, probers: AppProbers, isCaptured: (port: number) => boolean): Container {
  const result: Record<string, Json | undefined> & { name: string } = { ...container };
  for (const [field, word] of PROBES) {
    const probe = container[field] as JsonObject | undefined;
    const original = probe && proberOf(probe, container);
    if (!probe || !original || !isCaptured(original.port)) continue;
    const path = `/app-health/${container.name}/${word}`;
    probers[path] = { ...original.action, ...(probe['timeoutSeconds'] === undefined ? {} : { timeoutSeconds: probe['timeoutSeconds'] }) };
    const { httpGet: http, tcpSocket: _tcp, grpc: _grpc, ...rest } = probe;
    result[field] = { ...rest, httpGet: agentAction(http as JsonObject | undefined, path, statusPort) };
  }
  const lifecycle = container['lifecycle'] as JsonObject | undefined;
  for (const [field, word] of HOOKS) {
    const hook = lifecycle?.[field] as JsonObject | undefined;
    const original = hook && proberOf(hook, container);
    if (!hook || !original || hook['grpc'] || !isCaptured(original.port)) continue;
    const path = `/app-lifecycle/${container.name}/${word}`;
    probers[path] = original.action;
    result['lifecycle'] = { ...(result['lifecycle'] as JsonObject), [field]: { httpGet: agentAction(hook['httpGet'] as JsonObject | undefined, path, statusPort) } };
  }
  return result as Container;
}

/** The agent speaks plain HTTP; host and headers are the kubelet's own business. */
function agentAction(original: JsonObject | undefined, path: string, port: number): JsonObject {
  return { ...original, path, port, ...(original?.['scheme'] === undefined ? {} : { scheme: 'HTTP' }) };
}

function proberOf(probe: JsonObject, container: Container): { readonly action: JsonObject; readonly port: number } | undefined {
  for (const kind of ['httpGet', 'tcpSocket', 'grpc']) {
    const action = probe[kind] as JsonObject | undefined;
    if (!action) continue;
    const port = portNumber(action['port'], container);
    return port === undefined ? undefined : { action: { [kind]: { ...action, port } }, port };
  }
  return undefined;
}

function portNumber(port: Json | undefined, container: Container): number | undefined {
  if (typeof port === 'number') return port;
  if (typeof port !== 'string') return undefined;
  if (/^\d+$/.test(port)) return Number(port);
  const named = ((container['ports'] as readonly JsonObject[] | undefined) ?? []).find((one) => one['name'] === port);
  return typeof named?.['containerPort'] === 'number' ? named['containerPort'] : undefined;
}
