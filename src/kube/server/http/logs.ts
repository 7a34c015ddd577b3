import type { ServerResponse } from 'node:http';
import { once } from 'node:events';
import { at, listAt, textAt } from '../json.ts';
import type { Resource } from '../api/resources.ts';
import type { Environment } from '../rest/context.ts';
import { getObject } from '../rest/read.ts';
import { badRequest, internal } from '../status.ts';

/** What part of a container's log is wanted. */
export interface PodLogOptions {
  readonly container: string;
  /** Goes on with what is written later. */
  readonly follow: boolean;
  /** The log of the run before the last restart. */
  readonly previous: boolean;
  readonly timestamps: boolean;
  /** The last lines only. */
  readonly tailLines?: number;
  readonly sinceSeconds?: number;
  /** RFC 3339. */
  readonly sinceTime?: string;
  readonly limitBytes?: number;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/** Where container logs are; who runs the pods hands it in. */
export interface PodLogs {
  /** The bytes of a log. Throws ApiError (400 `container "x" in pod "y" is waiting to start: …`) when there is none. */
  open(namespace: string, pod: string, options: PodLogOptions): AsyncIterable<Uint8Array>;
}

/** Streams a container's log as plain text. @throws ApiError 400, 404 before the first byte */
export async function streamLogs(env: Environment, logs: PodLogs | undefined, response: ServerResponse, pods: Resource, namespace: string, name: string, query: URLSearchParams): Promise<void> {
  const pod = getObject(env, pods, namespace, name);
  if (!logs) throw internal('this server runs no pods');
  const abort = new AbortController();
  response.on('close', () => abort.abort());
  const options = { ...logOptions(query), container: containerOf(pod, name, query.get('container') ?? ''), signal: abort.signal };
  const iterator = logs.open(namespace, name, options)[Symbol.asyncIterator]();
  let left = options.limitBytes ?? Infinity;
  try {
    // With follow the first line may be long in coming; the client needs the headers before.
    const first = options.follow ? undefined : await iterator.next();
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-cache, private' });
    response.flushHeaders();
    for (let step = first ?? (await iterator.next()); !step.done && left > 0 && !response.destroyed; step = await iterator.next()) {
      const chunk = step.value.length > left ? step.value.subarray(0, left) : step.value;
      left -= chunk.length;
      if (!response.write(chunk)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    }
    response.end();
  } finally {
    abort.abort();
    await iterator.return?.();
  }
}

function logOptions(query: URLSearchParams) {
  const flag = (name: string): boolean => query.get(name) === 'true' || query.get(name) === '1';
  const number = (name: 'tailLines' | 'sinceSeconds' | 'limitBytes') => {
    const text = query.get(name);
    if (text === null) return {};
    if (!/^\d{1,15}$/.test(text)) throw badRequest(`${name}: Invalid value: ${JSON.stringify(text)}: must be greater than or equal to 0`);
    return { [name]: Number(text) } as { readonly [key in typeof name]?: number };
  };
  const sinceTime = query.get('sinceTime');
  return { follow: flag('follow'), previous: flag('previous'), timestamps: flag('timestamps'), ...number('tailLines'), ...number('sinceSeconds'), ...number('limitBytes'), ...(sinceTime ? { sinceTime } : {}) };
}

/** The container that is meant: the asked one, the only one, or the annotated default. @throws ApiError 400 */
export function containerOf(pod: unknown, name: string, asked: string): string {
  const names = (list: string): string[] => listAt(pod, 'spec', list).map((one) => textAt(one, 'name'));
  const containers = names('containers');
  const all = [...names('initContainers'), ...containers, ...names('ephemeralContainers')];
  if (asked !== '') {
    if (all.includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  if (containers.length === 1) return containers[0]!;
  const preferred = at(pod, 'metadata', 'annotations', 'kubectl.kubernetes.io/default-container');
  if (typeof preferred === 'string' && all.includes(preferred)) return preferred;
  const inits = names('initContainers');
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${containers.join(' ')}]${inits.length > 0 ? ` or one of the init containers: [${inits.join(' ')}]` : ''}`);
}
