/** Listeners on the host's loopback, opened before the cluster leaves the host's network. The ports are remembered: bookmarks and kubeconfigs survive a `down`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import type { StateDir } from '../state-dir.ts';

export interface PortRequest {
  /** Key in the URLs and in the memory: `api`, `ingress`. */
  readonly name: string;
  /** Tried first; 0 lets the system choose. When it is taken, the next free one is used. */
  readonly hostPort: number;
  /** Port of the LoadBalancer service it leads to; absent for the API server. */
  readonly servicePort?: number;
}

export interface OpenPort extends PortRequest {
  readonly server: net.Server;
  readonly fd: number;
  /** Set when the wished port was taken. */
  readonly moved?: number;
}

/** What is published unless the user asks for more. */
export const DEFAULT_PORTS: readonly PortRequest[] = [
  { name: 'api', hostPort: 0 },
  { name: 'ingress', hostPort: 8080, servicePort: 80 },
  { name: 'ingressTls', hostPort: 8443, servicePort: 443 },
];

const TRIES = 100;

/** Opens all listeners; throws when one finds no port at all. */
export async function openPorts(dir: StateDir, requests: readonly PortRequest[]): Promise<readonly OpenPort[]> {
  const remembered = readPorts(dir);
  const open: OpenPort[] = [];
  try {
    for (const request of requests) open.push(await openPort(request, remembered[request.name]));
  } catch (error) {
    for (const port of open) port.server.close();
    throw error;
  }
  mkdirSync(dirname(dir.portsFile), { recursive: true, mode: 0o700 });
  writeFileSync(dir.portsFile, `${JSON.stringify({ ...remembered, ...Object.fromEntries(open.map((port) => [port.name, port.hostPort])) })}\n`);
  return open;
}

function readPorts(dir: StateDir): Readonly<Record<string, number>> {
  try {
    const ports = JSON.parse(readFileSync(dir.portsFile, 'utf8')) as Record<string, unknown>;
    return Object.fromEntries(Object.entries(ports).filter((entry): entry is [string, number] => Number.isInteger(entry[1]) && Number(entry[1]) > 0 && Number(entry[1]) < 65_536));
  } catch {
    return {};
  }
}

async function openPort(request: PortRequest, remembered: number | undefined): Promise<OpenPort> {
  const first = remembered ?? request.hostPort;
  const later = request.hostPort === 0 ? [0] : Array.from({ length: TRIES }, (_, index) => request.hostPort + index).filter((port) => port !== first && port < 65_536);
  let problem: unknown;
  for (const wanted of [first, ...later]) {
    try {
      const server = await listen(wanted);
      const { port } = server.address() as net.AddressInfo;
      const fd = (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
      return { ...request, hostPort: port, server, fd, ...(first !== 0 && port !== first ? { moved: first } : {}) };
    } catch (error) {
      problem = error;
    }
  }
  throw new Error(`no free port on 127.0.0.1 for ${request.servicePort === undefined ? 'the API server' : `port ${request.servicePort} of the ingress`}: ${messageOf(problem)}`);
}

function listen(port: number): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}
