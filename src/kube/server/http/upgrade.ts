/** Requests that leave HTTP: `exec`, `attach` and `portforward` of pods, over WebSocket or SPDY. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { KubeObject } from '../../../objects/meta.ts';
import { impersonate } from '../auth/impersonation.ts';
import { forbiddenText } from '../auth/rbac/forbidden.ts';
import { attachToLogs } from '../exec/attach.ts';
import { EXEC_SPDY_PROTOCOLS, execOverStreams } from '../exec/exec-spdy.ts';
import { parseAttachRequest, parseExecRequest, serveExec, type ExecRequest, type PodExec } from '../exec/exec.ts';
import { forwardPorts, PORT_FORWARD_PROTOCOL, type PodDial } from '../exec/port-forward.ts';
import { acceptSpdy, acceptTunnel, streamProtocol, upgradeKind } from '../exec/upgrade.ts';
import { textAt } from '../json.ts';
import { getObject } from '../rest/read.ts';
import { badRequest, forbidden, internal, pathNotFound } from '../status.ts';
import { ApiError } from '../../client/client.ts';
import { containerOf } from './logs.ts';
import { parseResourcePath, segmentsOf } from './request-info.ts';
import type { Handlers } from './resource-handler.ts';
import { authenticate } from './router.ts';

/** Who runs the pods; a part that is missing is answered with that. */
export interface PodRuntime {
  readonly exec: PodExec | undefined;
  readonly attach: PodExec | undefined;
  readonly dial: PodDial | undefined;
}

interface Upgrade {
  readonly handlers: Handlers;
  readonly runtime: PodRuntime;
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly namespace: string;
  readonly name: string;
  readonly pod: KubeObject;
  readonly query: URLSearchParams;
}

const SUBRESOURCES: Readonly<Record<string, (upgrade: Upgrade) => void>> = { exec: upgradeExec, attach: upgradeAttach, portforward: upgradePortForward };

/** Answers an upgrade request; never throws. A refusal is an ordinary HTTP answer with a Status object. */
export function handleUpgrade(handlers: Handlers, runtime: PodRuntime, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy());
  try {
    const url = new URL(request.url ?? '/', 'https://api');
    const { authorizer } = handlers.env;
    const user = impersonate(request, authenticate(handlers, request), authorizer);
    const path = parseResourcePath(segmentsOf(url.pathname) ?? []);
    const pods = path && handlers.env.resources.find(path.group, path.version, path.plural);
    const serve = path && Object.hasOwn(SUBRESOURCES, path.subresource) ? SUBRESOURCES[path.subresource] : undefined;
    if (!pods || pods.group !== '' || pods.kind !== 'Pod' || !serve || !path.namespace || !path.name) throw pathNotFound();
    const access = { verb: request.method === 'POST' ? 'create' : 'get', group: '', resource: 'pods', subresource: path.subresource, name: path.name, namespace: path.namespace };
    const decision = authorizer.resource(user, access);
    if (!decision.allowed) throw forbidden(pods, path.name, forbiddenText(user, access, decision));
    const pod = getObject(handlers.env, pods, path.namespace, path.name);
    serve({ handlers, runtime, request, socket, head, namespace: path.namespace, name: path.name, pod, query: url.searchParams });
  } catch (thrown) {
    refuse(socket, thrown);
  }
}

function refuse(socket: Duplex, thrown: unknown): void {
  const error = thrown instanceof ApiError ? thrown : new ApiError(500, 'InternalError', String(thrown));
  const body = JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: error.reason, code: error.code, message: error.message });
  socket.end(`HTTP/1.1 ${error.code} ${error.reason || 'Error'}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
}

function upgradeExec(upgrade: Upgrade): void {
  const { runtime, namespace, name, query } = upgrade;
  const wanted = parseExecRequest(namespace, name, query);
  if (!wanted) throw badRequest('you must specify at least 1 command for the container');
  if (!runtime.exec) throw internal('this server runs no pods');
  serveCommand(upgrade, wanted, runtime.exec);
}

function upgradeAttach(upgrade: Upgrade): void {
  const { handlers, runtime, namespace, name, query, pod } = upgrade;
  if (!handlers.logs) throw internal('this server runs no pods');
  const container = containerOf(pod, name, query.get('container') ?? '');
  serveCommand(upgrade, { ...parseAttachRequest(namespace, name, query), container }, runtime.attach ?? attachToLogs(handlers.logs, container));
}

function serveCommand({ request, socket, head, query }: Upgrade, wanted: ExecRequest, pods: PodExec): void {
  const kind = upgradeKind(request);
  if (kind === 'websocket') return serveExec(request, socket, head, wanted, pods);
  const protocol = kind === 'spdy' ? streamProtocol(request, EXEC_SPDY_PROTOCOLS) : undefined;
  if (!protocol) throw badRequest(`unable to upgrade: only WebSocket and SPDY/3.1 with one of ${EXEC_SPDY_PROTOCOLS.join(', ')} are served`);
  void acceptSpdy(socket, head, protocol, execOverStreams(wanted, query, pods));
}

function upgradePortForward({ runtime, request, socket, head, namespace, name, pod }: Upgrade): void {
  if (!runtime.dial) throw internal('this server runs no pods');
  const phase = textAt(pod, 'status', 'phase');
  if (phase !== 'Running') throw badRequest(`unable to forward port because pod is not running. Current status=${phase}`);
  const onStream = forwardPorts(namespace, name, runtime.dial);
  const kind = upgradeKind(request);
  if (kind === 'tunnel') return acceptTunnel(request, socket, head, onStream);
  if (kind !== 'spdy' || !streamProtocol(request, [PORT_FORWARD_PROTOCOL])) throw badRequest(`unable to upgrade: only SPDY/3.1 with ${PORT_FORWARD_PROTOCOL}, directly or inside WebSocket, is served`);
  void acceptSpdy(socket, head, PORT_FORWARD_PROTOCOL, onStream);
}
