/**
 * The sockets of a Node program inside a loopback pod. Everything in Node that speaks TCP (net, http, https, http2, undici, TLS) ends at one native class;
 * its methods are where a kernel would apply a namespace and its redirection rules, so that is where we do.
 */
import { isClusterAddress, logicalPort } from '../address-plan.ts';
import { isAnyAddress, planBind, planConnect, proxyHeader, type BindPlan, type PodNetwork, type Redirect } from '../pod-network.ts';

type Callback = (this: unknown, ...args: unknown[]) => unknown;

/** What Node calls `TCP` inside: the part that is used here. */
export interface TcpHandle {
  onconnection?: ((status: number, client: TcpHandle | undefined) => void) | null;
  bind(address: string, port: number, flags?: number): number;
  bind6(address: string, port: number, flags?: number): number;
  listen(backlog: number): number;
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
  getsockname(out: Name): number;
  getpeername(out: Name): number;
  close(callback?: () => void): void;
  ref(): void;
  unref(): void;
  writeBuffer(request: object, bytes: Uint8Array): number;
  [STATE]?: HandleState;
}

interface ConnectRequest {
  oncomplete: Callback;
}

interface Name {
  address?: string;
  port?: number;
  family?: string;
}

interface HandleState {
  /** What a listener asked for; a client's bind has no plan. */
  asked?: { readonly address: string; readonly port: number; readonly family: 'IPv4' | 'IPv6'; readonly plan: BindPlan };
  bound?: string;
  /** Whom the program thinks it talks to. */
  peer?: { readonly address: string; readonly port: number };
  shadow?: TcpHandle;
  announced?: number;
  asApp?: boolean;
}

const STATE = Symbol('meltemi.pod');

/** What the socket layer asks of the pod. */
export interface TcpHooks {
  readonly pod: PodNetwork;
  redirect(): Redirect | undefined;
  /** A listener's port is open at the pod's own localhost: the proxy shall answer for it; and its end. */
  announce(port: number): void;
  withdraw(port: number): void;
  listening?(port: number, handle: TcpHandle): void;
}

/** Native classes of this Node, see {@link nativeClasses}. */
export interface NativeClasses {
  readonly TCP: { new (type: number): TcpHandle; readonly prototype: TcpHandle };
  readonly serverType: number;
  readonly socketType: number;
  readonly WriteWrap: new () => object;
}

/** Marks a handle whose connection is made for the application by its proxy. */
export function actAsApp(handle: TcpHandle): void {
  stateOf(handle).asApp = true;
}

function stateOf(handle: TcpHandle): HandleState {
  return (handle[STATE] ??= {});
}

/** Changes the class for good; called once, before the program's first line. */
export function patchTcp(native: NativeClasses, hooks: TcpHooks): void {
  const { prototype } = native.TCP;
  const original = { ...pick(prototype, 'bind', 'bind6', 'listen', 'connect', 'connect6', 'getsockname', 'getpeername', 'close', 'ref', 'unref') };
  patchBind(prototype, original, hooks);
  patchListen(prototype, original, native, hooks);
  patchConnect(prototype, original, native, hooks);
  patchNames(prototype, original, hooks);
}

type Methods = Pick<TcpHandle, 'bind' | 'bind6' | 'listen' | 'connect' | 'connect6' | 'getsockname' | 'getpeername' | 'close' | 'ref' | 'unref'>;

function pick<K extends keyof TcpHandle>(from: TcpHandle, ...names: readonly K[]): Pick<TcpHandle, K> {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as unknown as Pick<TcpHandle, K>;
}

function patchBind(prototype: TcpHandle, original: Methods, hooks: TcpHooks): void {
  const bind = (family: 'IPv4' | 'IPv6') =>
    function (this: TcpHandle, address: string, port: number, flags?: number): number {
      const plan = planBind(hooks.pod, hooks.redirect(), address, port);
      const unchanged = plan.address === address && plan.port === port;
      if (unchanged && family === 'IPv6') return original.bind6.call(this, address, port, flags);
      const state = stateOf(this);
      state.bound = plan.address;
      if (!unchanged) state.asked = { address, port, family, plan };
      return original.bind.call(this, plan.address, plan.port, 0);
    };
  prototype.bind = bind('IPv4');
  prototype.bind6 = bind('IPv6');
}

function patchListen(prototype: TcpHandle, original: Methods, native: NativeClasses, hooks: TcpHooks): void {
  prototype.listen = function (backlog) {
    const status = original.listen.call(this, backlog);
    const asked = this[STATE]?.asked;
    if (status !== 0) return status;
    const name: Name = {};
    original.getsockname.call(this, name);
    const port = logicalPort(name.port ?? 0, hooks.pod.firstPort);
    hooks.listening?.(port, this);
    if (!asked) return 0;
    const state = stateOf(this);
    if (asked.plan.announced) {
      state.announced = port;
      hooks.announce(port);
    }
    return asked.plan.also === undefined ? 0 : openShadow(this, state, asked.plan.also, name.port ?? 0, backlog);
  };
  const openShadow = (handle: TcpHandle, state: HandleState, address: string, port: number, backlog: number): number => {
    const shadow = new native.TCP(native.serverType);
    shadow.onconnection = (status, client) => (handle.onconnection ? handle.onconnection.call(handle, status, client) : client?.close());
    const status = original.bind.call(shadow, address, port, 0) || original.listen.call(shadow, backlog);
    if (status === 0) state.shadow = shadow;
    else shadow.close();
    return status;
  };
  prototype.close = function (callback) {
    const state = this[STATE];
    if (state?.shadow) original.close.call(state.shadow);
    if (state?.announced !== undefined) hooks.withdraw(state.announced);
    delete this[STATE];
    original.close.call(this, callback);
  };
  for (const name of ['ref', 'unref'] as const)
    prototype[name] = function () {
      const shadow = this[STATE]?.shadow;
      if (shadow) original[name].call(shadow);
      original[name].call(this);
    };
}

function patchConnect(prototype: TcpHandle, original: Methods, native: NativeClasses, hooks: TcpHooks): void {
  const connect = (own: 'connect' | 'connect6') =>
    function (this: TcpHandle, request: ConnectRequest, address: string, port: number): number {
      const before = this[STATE];
      const plan = planConnect(hooks.pod, hooks.redirect(), address, port, before?.bound, before?.asApp ?? hooks.pod.role === 'app');
      if (plan.address === address && plan.port === port && plan.source === undefined) return original[own].call(this, request, address, port);
      const state = stateOf(this);
      if (plan.source !== undefined) {
        const status = original.bind.call(this, plan.source, 0, 0);
        if (status !== 0) return status;
        state.bound = plan.source;
      }
      if (plan.address !== address || plan.port !== port) state.peer = { address: isAnyAddress(address) ? '127.0.0.1' : address, port };
      if (plan.captured) tellDestination(this, request, native, original, state.peer!);
      return original.connect.call(this, request, plan.address, plan.port);
    };
  prototype.connect = connect('connect');
  prototype.connect6 = connect('connect6');
}

/** The header is the first thing written once the connection stands, before the program hears of it. */
function tellDestination(handle: TcpHandle, request: ConnectRequest, native: NativeClasses, original: Methods, peer: { readonly address: string; readonly port: number }): void {
  const { oncomplete } = request;
  request.oncomplete = function (this: unknown, ...args) {
    if (args[0] === 0) {
      const name: Name = {};
      original.getsockname.call(handle, name);
      const bytes = Buffer.from(proxyHeader(name.address ?? '127.0.0.1', name.port ?? 0, peer.address, peer.port));
      // Its memory must live until the write is done.
      const write = Object.assign(new native.WriteWrap(), { handle, oncomplete: () => {}, async: false, bytes: 0, buffer: bytes });
      handle.writeBuffer(write, bytes);
    }
    return oncomplete.apply(this, args);
  };
}

function patchNames(prototype: TcpHandle, original: Methods, hooks: TcpHooks): void {
  const { pod } = hooks;
  const translate = (out: Name): void => {
    if (out.address === undefined || !isClusterAddress(out.address, pod.base)) return;
    out.port = logicalPort(out.port ?? 0, pod.firstPort);
    if (out.address === pod.localIP && pod.role !== 'node') out.address = '127.0.0.1';
  };
  prototype.getsockname = function (out) {
    const status = original.getsockname.call(this, out);
    translate(out);
    const asked = this[STATE]?.asked;
    if (status === 0 && asked) Object.assign(out, { address: asked.address, family: asked.family });
    return status;
  };
  prototype.getpeername = function (out) {
    const status = original.getpeername.call(this, out);
    translate(out);
    const peer = this[STATE]?.peer;
    if (status === 0 && peer) Object.assign(out, { ...peer, family: peer.address.includes(':') ? 'IPv6' : 'IPv4' });
    return status;
  };
}

/** Node's own classes; undefined where a Node does not show them. `process.binding` is documented as deprecated, and there is no other door. */
export function nativeClasses(): NativeClasses | undefined {
  const binding = (process as unknown as { binding?: (name: string) => Record<string, unknown> }).binding;
  if (typeof binding !== 'function') return undefined;
  const tcp = binding.call(process, 'tcp_wrap') as unknown as { TCP: NativeClasses['TCP']; constants: { SERVER: number; SOCKET: number } };
  const stream = binding.call(process, 'stream_wrap') as unknown as { WriteWrap: NativeClasses['WriteWrap'] };
  if (typeof tcp.TCP !== 'function' || typeof stream.WriteWrap !== 'function') return undefined;
  return { TCP: tcp.TCP, serverType: tcp.constants.SERVER, socketType: tcp.constants.SOCKET, WriteWrap: stream.WriteWrap };
}
