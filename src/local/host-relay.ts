/** Ports of the host's loopback that lead to LoadBalancer services: the listeners were opened on the host and inherited, the targets are inside. */
import net from 'node:net';
import { messageOf } from '../base/errors.ts';
import { createLogger } from '../base/log.ts';
import type { KubeClient } from '../kube/client/client.ts';
import type { Informer } from '../kube/client/informer.ts';
import { keyOf } from '../objects/meta.ts';
import type { Service } from '../objects/kubernetes/service.ts';
import { SERVICE } from '../objects/resource-types.ts';

const log = createLogger('host-relay');

/** A listening socket that this process inherited from the launcher. */
export interface HostListener {
  readonly fd: number;
  /** The port of a LoadBalancer service that it stands for. */
  readonly servicePort: number;
  /** The port on 127.0.0.1 of the host. */
  readonly hostPort: number;
}

const MAX_CLIENTS = 4096;
const CONNECT_TIMEOUT_MS = 5000;
/** What a user on this machine types. */
const HOST_ADDRESS = '127.0.0.1';

/** The service that a published port leads to: Istio's ingress gateway before others, then the oldest. */
export function relayTarget(services: Iterable<Service>, servicePort: number): Service | undefined {
  const rank = (service: Service) => [service.metadata.labels?.['istio'] === 'ingressgateway' ? '0' : '1', service.metadata.creationTimestamp ?? '', keyOf(service)].join('|');
  return [...services]
    .filter((service) => service.spec.type === 'LoadBalancer' && !service.metadata.deletionTimestamp && service.spec.clusterIP && service.spec.ports?.some((port) => port.port === servicePort && (port.protocol ?? 'TCP') === 'TCP'))
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
}

/**
 * Relays until the signal aborts, and gives every LoadBalancer service its address in `status.loadBalancer`: the host's when it has a published port,
 * else its cluster IP, where pods of this mesh reach it.
 */
export function startHostRelays(client: KubeClient, services: Informer<Service>, listeners: readonly HostListener[], signal: AbortSignal): void {
  for (const listener of listeners) {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => relay(socket, relayTarget(services.items().values(), listener.servicePort), listener.servicePort));
    server.maxConnections = MAX_CLIENTS;
    server.on('error', (error) => log.error('listener failed', { port: listener.hostPort, error: error.message }));
    server.listen({ fd: listener.fd });
    signal.addEventListener('abort', () => server.close());
  }
  const update = async (service: Service): Promise<void> => {
    const published = listeners.some((listener) => relayTarget(services.items().values(), listener.servicePort)?.metadata.uid === service.metadata.uid);
    const ip = published ? HOST_ADDRESS : service.spec.clusterIP;
    if (signal.aborted || service.spec.type !== 'LoadBalancer' || !ip || ip === 'None' || service.metadata.deletionTimestamp || service.status?.loadBalancer?.ingress?.[0]?.ip === ip) return;
    try {
      await client.mergePatch(SERVICE, service.metadata.name, service.metadata.namespace, { status: { loadBalancer: { ingress: [{ ip }] } } }, { subresource: 'status' });
    } catch (error) {
      log.warn('address not published', { service: keyOf(service), error: messageOf(error) });
    }
  };
  // A change of one service may move a port to or from another one.
  services.onEvent(() => {
    for (const service of services.items().values()) if (service.spec.type === 'LoadBalancer') void update(service);
  });
}

function relay(client: net.Socket, service: Service | undefined, port: number): void {
  if (!service) {
    client.on('error', () => {});
    return void client.resetAndDestroy();
  }
  const upstream = net.connect({ host: service.spec.clusterIP!, port, allowHalfOpen: true, noDelay: true });
  join(client, upstream);
}

/** Two sockets as one: an end is passed on as an end, an error as a reset; whichever side is slow slows the other. */
export function join(client: net.Socket, upstream: net.Socket): void {
  const timer = setTimeout(() => upstream.destroy(new Error('connect timeout')), CONNECT_TIMEOUT_MS);
  upstream.on('connect', () => clearTimeout(timer));
  client.pipe(upstream);
  upstream.pipe(client);
  const abort = (other: net.Socket) => () => {
    // A Unix socket knows no reset.
    if (!other.destroyed) void (other.remoteAddress === undefined && !other.connecting ? other.destroy() : other.resetAndDestroy());
  };
  client.on('error', abort(upstream));
  upstream.on('error', abort(client));
  client.on('close', () => (clearTimeout(timer), upstream.destroy()));
  upstream.on('close', () => client.destroySoon());
}
