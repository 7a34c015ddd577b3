/** Makes this Node process live in a loopback pod: network, names, files. Runs before the program's first line, in every Node process of a container. */
import { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';
import os from 'node:os';
import { POD_NETWORK_VARIABLE, type PodNetwork } from '../pod-network.ts';
import { readRedirect } from '../redirect-file.ts';
import { patchFiles } from './files.ts';
import { announcePort, captureInbound, withdrawPort } from './inbound-capture.ts';
import { patchNames } from './names.ts';
import { actAsApp, nativeClasses, patchTcp, type NativeClasses, type TcpHandle } from './tcp.ts';
import { patchUdp } from './udp.ts';

/** How programs of ours find the pod they live in, see {@link podOfThisProcess}. */
const REGISTRY = Symbol.for('meltemi.pod');

/** What our agent asks of the pod it lives in. */
export interface InstalledPod {
  readonly network: PodNetwork;
  /** A socket whose connection is captured as if the application had opened it. */
  socketOfApp(): Socket;
}

/** The pod of this process; undefined outside a loopback pod. */
export function podOfThisProcess(): InstalledPod | undefined {
  return (globalThis as Record<symbol, unknown>)[REGISTRY] as InstalledPod | undefined;
}

/** Reads the network from the file that the environment names and takes it on; does nothing where there is none. Throws when Node hides its sockets. */
export function installFromEnvironment(): void {
  const path = process.env[POD_NETWORK_VARIABLE];
  if (path === undefined || path === '' || podOfThisProcess()) return;
  installPod(JSON.parse(readFileSync(path, 'utf8')) as PodNetwork);
}

/** Takes on a network. */
export function installPod(pod: PodNetwork): void {
  const native = nativeClasses();
  if (!native) throw new Error('this Node does not show its sockets, so it cannot run in a loopback pod');
  const redirect = readRedirect(pod.folder);
  const listening = new Map<number, TcpHandle>();
  patchTcp(native, {
    pod,
    redirect: () => redirect,
    announce: (port) => announcePort(pod, port),
    withdraw: (port) => withdrawPort(pod, port),
    listening: (port, handle) => listening.set(port, handle),
  });
  patchUdp(pod);
  (globalThis as Record<symbol, unknown>)[REGISTRY] = { network: pod, socketOfApp: () => socketOfApp(native) } satisfies InstalledPod;
  if (pod.role === 'node') return;
  patchNames(pod, redirect);
  patchMachine(pod);
  if (pod.role === 'proxy' && redirect && isProxyProgram()) captureInbound(pod, redirect, native, () => listening.get(Number(redirect.inboundCapturePort)));
  patchFiles(pod.mounts);
  syncBuiltinESMExports();
}

/** `pilot-agent proxy`, not `pilot-agent request` beside it. */
function isProxyProgram(): boolean {
  return (process.argv[1] ?? '').endsWith('agent.js') && process.argv[2] === 'proxy';
}

function socketOfApp(native: NativeClasses): Socket {
  const handle = new native.TCP(native.socketType);
  actAsApp(handle);
  return new Socket({ handle, allowHalfOpen: true, manualStart: true } as unknown as ConstructorParameters<typeof Socket>[0]);
}

function patchMachine(pod: PodNetwork): void {
  os.hostname = () => pod.hostname;
  const common = { netmask: '255.0.0.0', mac: '00:00:00:00:00:00' } as const;
  os.networkInterfaces = () => ({
    lo: [{ ...common, address: '127.0.0.1', family: 'IPv4', internal: true, cidr: '127.0.0.1/8' }],
    eth0: [{ ...common, address: pod.podIP, family: 'IPv4', internal: false, cidr: `${pod.podIP}/32` }],
  });
}
