/** Requests that leave HTTP: `pods/exec` over WebSocket. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { mayDoEverything } from '../auth/user.ts';
import { parseExecRequest, serveExec, type PodExec } from '../exec/exec.ts';
import { getObject } from '../rest/read.ts';
import { badRequest, forbidden, internal, methodNotAllowed, pathNotFound } from '../status.ts';
import { ApiError } from '../../client/client.ts';
import { parseResourcePath, segmentsOf } from './request-info.ts';
import type { Handlers } from './resource-handler.ts';
import { authenticate } from './router.ts';

/** Answers an upgrade request; never throws. A refusal is an ordinary HTTP answer with a Status object. */
export function handleUpgrade(handlers: Handlers, exec: PodExec | undefined, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy());
  try {
    const url = new URL(request.url ?? '/', 'https://api');
    const user = authenticate(handlers, request);
    const path = parseResourcePath(segmentsOf(url.pathname) ?? []);
    const pods = path && handlers.env.resources.find(path.group, path.version, path.plural);
    if (pods && pods.group === '' && pods.kind === 'Pod' && (path.subresource === 'attach' || path.subresource === 'portforward')) throw methodNotAllowed();
    if (!pods || pods.group !== '' || pods.kind !== 'Pod' || path.subresource !== 'exec' || !path.namespace || !path.name) throw pathNotFound();
    if (!mayDoEverything(user)) throw forbidden(pods, path.name, `User "${user.username}" cannot create resource "pods/exec" in API group "" in the namespace "${path.namespace}"`);
    getObject(handlers.env, pods, path.namespace, path.name);
    if (!exec) throw internal('this server runs no pods');
    const wanted = parseExecRequest(path.namespace, path.name, url.searchParams);
    if (!wanted) throw badRequest('you must specify at least 1 command for the container');
    if (!/websocket/i.test(request.headers.upgrade ?? '')) throw badRequest('only WebSocket is served: use kubectl 1.30 or newer, or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true for 1.29');
    serveExec(request, socket, head, wanted, exec);
  } catch (thrown) {
    const error = thrown instanceof ApiError ? thrown : new ApiError(500, 'InternalError', String(thrown));
    const body = JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: error.reason, code: error.code, message: error.message });
    socket.end(`HTTP/1.1 ${error.code} ${error.reason || 'Error'}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
  }
}
