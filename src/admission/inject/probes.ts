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

/** Rewrites the probes of one container to `/app-health/<container>/…` on the status port and notes the originals. */
export function rewriteProbes(container: Container, statusPort: number, probers: AppProbers): Container {
  const result: Record<string, Json | undefined> & { name: string } = { ...container };
  for (const [field, word] of PROBES) {
    const probe = container[field] as JsonObject | undefined;
    const original = probe && proberOf(probe, container);
    if (!probe || !original) continue;
    const path = `/app-health/${container.name}/${word}`;
    probers[path] = { ...original, ...(probe['timeoutSeconds'] === undefined ? {} : { timeoutSeconds: probe['timeoutSeconds'] }) };
    const { httpGet: http, tcpSocket: _tcp, grpc: _grpc, ...rest } = probe;
    result[field] = { ...rest, httpGet: agentAction(http as JsonObject | undefined, path, statusPort) };
  }
  const lifecycle = container['lifecycle'] as JsonObject | undefined;
  for (const [field, word] of HOOKS) {
    const hook = lifecycle?.[field] as JsonObject | undefined;
    const original = hook && proberOf(hook, container);
    if (!hook || !original || hook['grpc']) continue;
    const path = `/app-lifecycle/${container.name}/${word}`;
    probers[path] = original;
    result['lifecycle'] = { ...(result['lifecycle'] as JsonObject), [field]: { httpGet: agentAction(hook['httpGet'] as JsonObject | undefined, path, statusPort) } };
  }
  return result as Container;
}

/** The agent speaks plain HTTP and needs no host or headers: it knows the original. */
function agentAction(original: JsonObject | undefined, path: string, port: number): JsonObject {
  return { path, port, ...(original?.['scheme'] === undefined ? {} : { scheme: 'HTTP' }) };
}

function proberOf(probe: JsonObject, container: Container): JsonObject | undefined {
  for (const kind of ['httpGet', 'tcpSocket', 'grpc']) {
    const action = probe[kind] as JsonObject | undefined;
    if (!action) continue;
    const port = portNumber(action['port'], container);
    return port === undefined ? undefined : { [kind]: { ...action, port } };
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
