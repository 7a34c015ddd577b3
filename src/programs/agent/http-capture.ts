// The HTTP proxy of a loopback pod's sidecar: what programs that obey `http_proxy` send is captured like the connections of Node programs.
import { lookup } from 'node:dns/promises';
import { isIP, type Socket } from 'node:net';
import { AGENT_HTTP_PORT, createHttpForward } from '../../local/loopback/http-forward.ts';
import { podOfThisProcess, type InstalledPod } from '../../local/loopback/preload/install.ts';

const CONNECT_MS = 10_000;

/** Serves until the process ends; does nothing outside a loopback pod. Rejects when the port is taken. */
export async function startHttpCapture(): Promise<void> {
  const pod = podOfThisProcess();
  if (!pod) return;
  const server = createHttpForward((host, port) => dial(pod, host, port));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(AGENT_HTTP_PORT, '127.0.0.1', resolve));
}

async function dial(pod: InstalledPod, host: string, port: number): Promise<Socket> {
  const address = isIP(host) ? host : (await lookup(host)).address;
  return new Promise((resolve, reject) => {
    const socket = pod.socketOfApp();
    const timer = setTimeout(() => socket.destroy(new Error('i/o timeout')), CONNECT_MS);
    socket.once('error', (error) => (clearTimeout(timer), reject(error)));
    socket.connect({ host: address, port, noDelay: true }, () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}
