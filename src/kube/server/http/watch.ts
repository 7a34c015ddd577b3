import type { ServerResponse } from 'node:http';
import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import type { Environment } from '../rest/context.ts';
import { listObjects, revisionOf, type ListQuery } from '../rest/read.ts';
import { watchObjects } from '../rest/watch.ts';
import { messageOf } from '../../../base/errors.ts';
import { ApiError } from '../../client/client.ts';
import { asVersion, prepareVersions } from '../rest/versions.ts';
import { forbiddenField, internal, invalid, statusOf } from '../status.ts';
import { partialMetadata, toTable } from '../table/table.ts';
import type { Shape } from './media-type.ts';
import { jsonOf } from './respond.ts';

const BOOKMARK_EVERY_MS = 60_000;
/** A client that lets this much pile up is cut off; it lists again. */
const MAX_PENDING_BYTES = 16 * 1024 * 1024;

/** The query of a watch. */
export interface WatchQuery extends ListQuery {
  /** '' or '0': first every object as ADDED, then changes. */
  readonly resourceVersion: string;
  readonly timeoutSeconds?: number;
  readonly bookmarks: boolean;
  readonly sendInitialEvents: boolean;
}

/** Streams changes until the client goes away, the time is over, or the server closes. */
export function streamWatch(env: Environment, response: ServerResponse, resource: Resource, namespace: string | undefined, query: WatchQuery, shape: Shape, closing: AbortSignal): void {
  checkOptions(query);
  let headers = true;
  const encode = (type: string, object: KubeObject): Buffer => {
    if (shape.as === 'table') {
      const table = toTable(resource, [type === 'BOOKMARK' ? object : asVersion(object, resource)], { resourceVersion: object.metadata.resourceVersion ?? '' }, shape.include, env.now(), headers);
      headers = false;
      return Buffer.from(`${JSON.stringify({ type, object: table })}\n`);
    }
    return shape.as === 'metadata' ? Buffer.from(`${JSON.stringify({ type, object: partialMetadata(object) })}\n`) : eventLine(type, object, resource);
  };
  const inOrder = resource.converter && afterConversion(resource, (thrown) => {
    const error = thrown instanceof ApiError ? thrown : internal(messageOf(thrown));
    response.end(`${JSON.stringify({ type: 'ERROR', object: statusOf(error) })}\n`);
  });
  // What happens before the headers are out is collected: a refusal must still be able to change the status.
  let queued: Buffer[] | undefined = [];
  const send = (type: string, object: KubeObject): void => {
    if (inOrder) inOrder(object, () => write(type, object));
    else write(type, object);
  };
  const write = (type: string, object: KubeObject): void => {
    const line = encode(type, object);
    if (queued) queued.push(line);
    else if (response.writableEnded) return;
    else if (response.writableLength > MAX_PENDING_BYTES) response.destroy();
    else response.write(line);
  };
  const bookmark = (annotations?: Record<string, string>): void => {
    const metadata = { name: '', resourceVersion: String(env.store.revision()), creationTimestamp: null, ...(annotations ? { annotations } : {}) };
    send('BOOKMARK', { kind: resource.kind, apiVersion: resource.apiVersion, metadata } as unknown as KubeObject);
  };
  const fresh = query.resourceVersion === '' || query.resourceVersion === '0' || query.sendInitialEvents;
  const from = fresh ? env.store.revision() : revisionOf(query.resourceVersion);
  if (fresh) for (const object of listObjects(env, resource, namespace, { ...selectors(query) }).items) send('ADDED', object);
  if (query.sendInitialEvents) bookmark({ 'k8s.io/initial-events-end': 'true' });
  const stop = watchObjects(env, resource, namespace, query, from, (event) => send(event.type, event.object));

  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private', 'transfer-encoding': 'chunked' });
  response.flushHeaders();
  if (queued.length > 0) response.write(Buffer.concat(queued));
  queued = undefined;

  const end = (): void => {
    if (query.bookmarks && !response.destroyed) bookmark();
    response.end();
  };
  const timeoutMs = (query.timeoutSeconds ?? 1800 + Math.random() * 1800) * 1000;
  const timer = setTimeout(end, Math.min(timeoutMs, 2 ** 31 - 1));
  const ticker = query.bookmarks ? setInterval(bookmark, BOOKMARK_EVERY_MS, undefined) : undefined;
  timer.unref();
  ticker?.unref();
  closing.addEventListener('abort', end);
  response.on('close', () => {
    stop();
    clearTimeout(timer);
    clearInterval(ticker);
    closing.removeEventListener('abort', end);
  });
}

let last: { readonly type: string; readonly object: KubeObject; readonly resource: Resource; readonly line: Buffer } | undefined;

/** One event of a watch. All watches are told of a change one after the other: they share the line of the last one. */
function eventLine(type: string, object: KubeObject, resource: Resource): Buffer {
  if (last?.object === object && last.type === type && last.resource === resource) return last.line;
  const line = Buffer.concat([Buffer.from(`{"type":"${type}","object":`), jsonOf(object, resource), EVENT_END]);
  last = { type, object, resource, line };
  return line;
}

const EVENT_END = Buffer.from('}\n');

/** Runs something when an object is in the resource's version, in the order of the calls. After a failure nothing runs any more. */
function afterConversion(resource: Resource, onError: (thrown: unknown) => void): (object: KubeObject, then: () => void) => void {
  let tail: Promise<boolean> = Promise.resolve(true);
  return (object, then) => {
    tail = tail.then(async (whole) => {
      if (!whole) return false;
      await prepareVersions([object], resource);
      then();
      return true;
    }).catch((thrown: unknown) => {
      onError(thrown);
      return false;
    });
  };
}

function checkOptions({ sendInitialEvents, resourceVersionMatch = '' }: WatchQuery): void {
  const fail = (detail: string): never => {
    throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [forbiddenField('resourceVersionMatch', detail)]);
  };
  if (resourceVersionMatch !== '' && !sendInitialEvents) fail('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
  if (sendInitialEvents && resourceVersionMatch !== 'NotOlderThan') fail('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
}

function selectors({ labelSelector, fieldSelector }: ListQuery): ListQuery {
  return { ...(labelSelector ? { labelSelector } : {}), ...(fieldSelector ? { fieldSelector } : {}) };
}
