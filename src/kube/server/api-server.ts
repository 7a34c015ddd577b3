/** The embedded Kubernetes API server, put together. */
import { setMaxListeners } from 'node:events';
import { createServer as createTlsServer, type Server } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { KindInfo } from '../../objects/kind.ts';
import { KINDS } from '../../objects/registry.ts';
import { NAMESPACE } from '../../objects/resource-types.ts';
import type { KubeClient } from '../client/client.ts';
import type { Dial } from './admission/webhook-call.ts';
import { createWebhooks, dialClusterAddress } from './admission/webhooks.ts';
import { AUTOSCALER_V1_KIND, convertAutoscalers } from './api/autoscaling-v1.ts';
import { serveDefinitions } from './api/crd.ts';
import { ResourceTable } from './api/resources.ts';
import { REVIEW_KINDS } from './api/reviews.ts';
import { storageKey } from './api/storage-key.ts';
import { createAuthorizer } from './auth/rbac/authorizer.ts';
import { ensureDefaultRoles, keepAggregated } from './auth/rbac/bootstrap.ts';
import type { Pki } from './auth/pki.ts';
import { TokenAuthority } from './auth/tokens.ts';
import type { UserInfo } from './auth/user.ts';
import type { PodExec } from './exec/exec.ts';
import type { PodDial } from './exec/port-forward.ts';
import type { PodLogs } from './http/logs.ts';
import type { Handlers } from './http/resource-handler.ts';
import { handleRequest } from './http/router.ts';
import { handleUpgrade } from './http/upgrade.ts';
import { createInProcessClient } from './in-process-client.ts';
import type { Environment } from './rest/context.ts';
import { expireEvents } from './rest/expire-events.ts';
import { createServiceAllocator } from './rest/kinds/service.ts';
import { SYSTEM_NAMESPACES } from './rest/namespace-lifecycle.ts';
import type { Store } from './store/store.ts';

export interface ApiServerOptions {
  readonly store: Store;
  readonly pki: Pki;
  /** Where container logs are; without it `pods/log` says that nothing runs here. */
  readonly logs?: PodLogs;
  /** Who runs commands in containers; without it `pods/exec` says that nothing runs here. */
  readonly exec?: PodExec;
  /** Who joins the streams of running containers; without it `pods/attach` shows their logs, and what is typed goes nowhere. */
  readonly attach?: PodExec;
  /** Who connects to ports inside pods; without it `pods/portforward` says that nothing runs here. */
  readonly portForward?: PodDial;
  /** How webhooks' services are reached. Default: their cluster address. */
  readonly dial?: Dial;
  /** Addresses of services. Default 10.96.0.0/16. */
  readonly serviceRange?: string;
  /** Kinds served without a CustomResourceDefinition. Default: all of the registry that are not custom. */
  readonly kinds?: readonly KindInfo[];
  /** Milliseconds since the epoch. Default: the system's clock. */
  readonly now?: () => number;
}

/** Where to listen: an address, or an open socket handed over as a file descriptor. Port 0 lets the system choose. */
export type ListenTarget = { readonly host: string; readonly port: number } | { readonly fd: number };

export interface ApiServer {
  /** Resolves when the namespaces and roles that always exist are there. */
  readonly ready: Promise<void>;
  /** Starts to accept connections; may be called for several addresses. Resolves to the port. */
  listen(target: ListenTarget): Promise<number>;
  /** Takes over a connection somebody else accepted. */
  accept(socket: Socket): void;
  /** A client in this process, as an administrator unless a user is named. `agent` is its field manager. */
  client(options?: { readonly user?: UserInfo; readonly agent?: string }): KubeClient;
  /** The certificate authority that clients must trust, PEM: what `kube-root-ca.crt` carries. */
  readonly caPem: string;
  /** Ends watches, closes connections and listeners. The store stays open: it belongs to the caller. */
  close(): Promise<void>;
}

/** Makes a server that does not listen yet. */
export function createApiServer(options: ApiServerOptions): ApiServer {
  const { store, pki } = options;
  const resources = new ResourceTable([...(options.kinds ?? KINDS.filter((info) => !info.custom)), AUTOSCALER_V1_KIND, ...REVIEW_KINDS], { 'autoscaling/horizontalpodautoscalers': convertAutoscalers });
  const stopDefinitions = serveDefinitions(store, resources, options.dial ?? dialClusterAddress(store));
  const env = createEnvironment(options, resources);
  const closing = new AbortController();
  // Every open watch listens to it.
  setMaxListeners(0, closing.signal);
  const stopExpiry = expireEvents(env);
  const handlers: Handlers = { env, tokens: new TokenAuthority(pki.serviceAccountKeyPem), logs: options.logs, closing: closing.signal };
  const https = createHttps(pki, handlers);
  https.on('upgrade', (request, socket, head: Buffer) => handleUpgrade(handlers, { exec: options.exec, attach: options.attach, dial: options.portForward }, request, socket, head));
  const listeners: TcpServer[] = [];
  const sockets = new Set<Socket>();
  const accept = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    https.emit('connection', socket);
  };
  const system = createInProcessClient(handlers);
  const stopAggregation = keepAggregated(store, system, (error) => env.log.error('cluster roles cannot be aggregated', { error: messageOf(error) }));
  const ready = Promise.all([createSystemNamespaces(env, system), ensureDefaultRoles(system)]).then(() => {});
  return {
    ready,
    caPem: pki.ca.certPem,
    accept,
    client: ({ user, agent } = {}) => createInProcessClient(handlers, user, agent),
    async listen(target) {
      const listener = createTcpServer(accept);
      await new Promise<void>((resolve, reject) => {
        listener.once('error', reject);
        listener.listen(target, () => {
          listener.off('error', reject);
          resolve();
        });
      });
      listeners.push(listener);
      return (listener.address() as AddressInfo | null)?.port ?? 0;
    },
    async close() {
      closing.abort();
      stopDefinitions();
      stopAggregation();
      env.authorizer.close();
      stopExpiry();
      const closed = listeners.map((listener) => new Promise((resolve) => listener.close(resolve)));
      // Watches get a moment to end their streams in order.
      setTimeout(() => sockets.forEach((socket) => socket.destroy()), 50);
      await Promise.all(closed);
      https.close();
    },
  };
}

function createEnvironment({ store, dial, serviceRange, now }: ApiServerOptions, resources: ResourceTable): Environment {
  return {
    store,
    resources,
    webhooks: createWebhooks(store, resources, dial),
    services: createServiceAllocator(store, serviceRange),
    authorizer: createAuthorizer(store),
    log: createLogger('apiserver'),
    now: now ?? Date.now,
  };
}

async function createSystemNamespaces(env: Environment, client: KubeClient): Promise<void> {
  for (const name of SYSTEM_NAMESPACES) {
    if (!env.store.get(storageKey(NAMESPACE, name))) await client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
}

function createHttps(pki: Pki, handlers: Handlers): Server {
  const https = createTlsServer(
    { cert: pki.serving.certPem, key: pki.serving.keyPem, ca: pki.ca.certPem, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'] },
    (request, response) => void handleRequest(handlers, request, response),
  );
  https.keepAliveTimeout = 120_000;
  https.headersTimeout = 30_000;
  // Watches and logs last; a slow body is cut by the idle timeout of its socket instead.
  https.requestTimeout = 60_000;
  https.on('tlsClientError', (_error, socket) => socket.destroy());
  https.on('clientError', (_error, socket) => socket.destroy());
  return https;
}
