import { isIPv6 } from 'node:net';
import type { Socket } from 'node:net';
import type * as Koffi from 'koffi';
import { createRequire } from 'node:module';
import { createLogger } from '../../base/log.ts';

const log = createLogger('io');
const SOL_SOCKET = 1;
const SO_MARK = 36;
const SOL_IP = 0;
const SOL_IPV6 = 41;
/** The same number for IPv4 and IPv6 (IP6T_SO_ORIGINAL_DST). */
const SO_ORIGINAL_DST = 80;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 0o2004001;

interface Libc {
  getsockopt(fd: number, level: number, option: number, value: Buffer, length: Uint32Array): number;
  setsockopt(fd: number, level: number, option: number, value: Int32Array, length: number): number;
  socket(domain: number, type: number, protocol: number): number;
  close(fd: number): number;
  malloc_trim(pad: number): number;
  errno(): number;
}

let libc: Libc | undefined | null = null;

/** The C library through koffi; undefined where koffi or a libc does not load (then interception by REDIRECT is not possible, and is said once). */
function loadLibc(): Libc | undefined {
  if (libc !== null) return libc;
  libc = undefined;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    const library = openFirst(koffi, ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1', 'libc.so']);
    libc = {
      getsockopt: library.func('int getsockopt(int fd, int level, int optname, _Out_ void *val, _Inout_ uint32_t *len)') as Libc['getsockopt'],
      setsockopt: library.func('int setsockopt(int fd, int level, int optname, void *val, uint32_t len)') as Libc['setsockopt'],
      socket: library.func('int socket(int domain, int type, int protocol)') as Libc['socket'],
      close: library.func('int close(int fd)') as Libc['close'],
      malloc_trim: optional(() => library.func('int malloc_trim(size_t pad)') as Libc['malloc_trim']),
      errno: () => koffi.errno(),
    };
  } catch (thrown) {
    log.error('cannot call the C library: original destinations of redirected connections are unknown', { error: String(thrown) });
  }
  return libc;
}

/** musl has no malloc_trim. */
function optional(find: () => Libc['malloc_trim']): Libc['malloc_trim'] {
  try {
    return find();
  } catch {
    return () => 0;
  }
}

/** Returns freed native memory to the system; does nothing before the C library was needed for something else. @see malloc_trim(3) */
export function trimNativeMemory(): void {
  libc?.malloc_trim(0);
}

function openFirst(koffi: typeof Koffi, names: readonly string[]): Koffi.LibraryHandle {
  let failure: unknown;
  for (const name of names) {
    try {
      return koffi.load(name);
    } catch (thrown) {
      failure = thrown;
    }
  }
  throw failure;
}

const value = Buffer.alloc(28);
const length = new Uint32Array(1);

/** Where a redirected connection was going, or undefined when it was not redirected. @see SO_ORIGINAL_DST in linux/netfilter_ipv4.h */
export function originalDestination(socket: Socket): { readonly address: string; readonly port: number } | undefined {
  const fd = descriptorOf(socket);
  const native = loadLibc();
  if (fd < 0 || native === undefined) return undefined;
  const remote = socket.remoteAddress ?? '';
  const v4 = !isIPv6(remote) || remote.startsWith('::ffff:');
  length[0] = v4 ? 16 : 28;
  if (native.getsockopt(fd, v4 ? SOL_IP : SOL_IPV6, SO_ORIGINAL_DST, value, length) !== 0) return undefined;
  const port = value.readUInt16BE(2);
  return v4 ? { address: `${value[4]}.${value[5]}.${value[6]}.${value[7]}`, port } : { address: ipv6Text(value, 8), port };
}

/** A TCP socket marked before it connects, so that redirection rules let it pass. @throws Error when the mark is refused (needs CAP_NET_ADMIN). */
export function markedSocket(host: string, mark: number): number {
  const native = loadLibc();
  if (native === undefined) throw new Error('MELTEMI_SO_MARK needs koffi, which does not load here');
  const fd = native.socket(isIPv6(host) ? AF_INET6 : AF_INET, SOCK_STREAM_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw new Error(`socket: errno ${native.errno()}`);
  if (native.setsockopt(fd, SOL_SOCKET, SO_MARK, new Int32Array([mark]), 4) !== 0) {
    const errno = native.errno();
    native.close(fd);
    throw new Error(`SO_MARK ${mark}: errno ${errno}`);
  }
  return fd;
}

/** The descriptor of a socket; no public API tells it. */
function descriptorOf(socket: Socket): number {
  const handle = (socket as unknown as { _handle?: { fd?: number } })._handle;
  return handle?.fd ?? -1;
}

/** RFC 5952 text of 16 bytes. */
export function ipv6Text(bytes: Buffer, offset: number): string {
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(offset + index * 2));
  let best = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let run = 0;
    while (start + run < 8 && words[start + run] === 0) run++;
    if (run > bestLength) {
      best = start;
      bestLength = run;
    }
  }
  const hex = (part: readonly number[]): string => part.map((word) => word.toString(16)).join(':');
  return best < 0 ? hex(words) : `${hex(words.slice(0, best))}::${hex(words.slice(best + bestLength))}`;
}
