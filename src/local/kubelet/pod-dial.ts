/** Connections from the node to a port inside a pod, as `kubectl port-forward` needs them: to the pod's own loopback, past every redirection rule. */
import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import type * as Koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 0o2004001;
const CONNECT_MS = 10_000;

interface Libc {
  setns(fd: number, type: number): number;
  socket(domain: number, type: number, protocol: number): number;
}

let libc: Libc | undefined;

function loadLibc(): Libc {
  if (libc) return libc;
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const names = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'];
  let library: Koffi.LibraryHandle | undefined;
  for (const name of names) {
    try {
      library ??= koffi.load(name);
    } catch {
      // The next one.
    }
  }
  if (!library) throw new Error('no C library can be loaded');
  libc = { setns: library.func('int setns(int fd, int nstype)') as Libc['setns'], socket: library.func('int socket(int domain, int type, int protocol)') as Libc['socket'] };
  return libc;
}

/** A socket that belongs to another network namespace. Only this thread changes over, and comes back before anything else can run on it. */
function socketIn(network: string, family: number): number {
  const libc = loadLibc();
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(`/run/netns/${network}`, 'r');
  try {
    if (libc.setns(there, CLONE_NEWNET) !== 0) throw new Error(`cannot enter the network of ${network}`);
    const fd = libc.socket(family, SOCK_STREAM_NONBLOCK_CLOEXEC, 0);
    // Staying in a pod's network would break the node; there is nothing better to do than to end.
    if (libc.setns(home, CLONE_NEWNET) !== 0) process.abort();
    if (fd < 0) throw new Error('cannot open a socket');
    return fd;
  } finally {
    closeSync(home);
    closeSync(there);
  }
}

/** Connects to `localhost:port` in a pod's network, IPv4 before IPv6. Rejects with a kubelet's words. */
export async function dialPod(network: string, port: number): Promise<Socket> {
  try {
    return await connectIn(network, AF_INET, '127.0.0.1', port);
  } catch (refused) {
    return connectIn(network, AF_INET6, '::1', port).catch(() => {
      throw refused;
    });
  }
}

function connectIn(network: string, family: number, host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const options = { fd: socketIn(network, family), readable: true, writable: true, manualStart: true, allowHalfOpen: true };
    const socket = new Socket(options as ConstructorParameters<typeof Socket>[0]).connect({ host, port, autoSelectFamily: false });
    const fail = (why: string): void => {
      socket.destroy();
      reject(new Error(`dial tcp ${host}:${port}: ${why}`));
    };
    const timer = setTimeout(() => fail('i/o timeout'), CONNECT_MS);
    socket.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      fail(`connect: ${error.code === 'ECONNREFUSED' ? 'connection refused' : error.message}`);
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}
