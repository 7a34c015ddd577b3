/** UDP sockets of a Node program inside a loopback pod: addresses are the pod's; nothing is captured, as in Istio. */
import { isClusterAddress, realPort } from '../address-plan.ts';
import { isLocalhost, planBind, type PodNetwork } from '../pod-network.ts';

interface UdpHandle {
  bind(this: UdpHandle, address: string, port: number, flags: number): number;
  connect(this: UdpHandle, address: string, port: number): number;
  send(this: UdpHandle, request: object, list: unknown, count: number, ...rest: unknown[]): number;
}

/** Default of net.ipv4.ip_local_port_range. */
const FIRST_EPHEMERAL_PORT = 32_768;

/** Changes Node's class for good. */
export function patchUdp(pod: PodNetwork): void {
  const binding = (process as unknown as { binding: (name: string) => Record<string, unknown> }).binding('udp_wrap') as unknown as { UDP?: { readonly prototype: UdpHandle } };
  const prototype = binding.UDP?.prototype;
  if (!prototype) return;
  const method = <K extends keyof UdpHandle>(name: K): UdpHandle[K] => prototype[name];
  const [bind, connect, send] = [method('bind'), method('connect'), method('send')];
  // A datagram socket has one address, so an application's localhost is the pod's address; the agent's DNS stays behind.
  const localhost = pod.role === 'proxy' ? pod.localIP : pod.podIP;
  const place = (address: string, port: number): readonly [string, number] => {
    // Above are ports that senders got from the system: an answer to one goes back to where it came from.
    if (pod.role === 'app' && isLocalhost(address) && port < FIRST_EPHEMERAL_PORT) return [localhost, realPort(port, pod.firstPort)];
    return [address, isClusterAddress(address, pod.base) ? realPort(port, pod.firstPort) : port];
  };
  prototype.bind = function (address, port, flags) {
    // A socket that only sends is left open to every address: it may talk to the world.
    if (port === 0 && !isLocalhost(address)) return bind.call(this, address, port, flags);
    if (pod.role !== 'node' && isLocalhost(address)) return bind.call(this, localhost, realPort(port, pod.firstPort), flags);
    const plan = planBind(pod, undefined, address, port);
    return bind.call(this, plan.address, plan.port, flags);
  };
  prototype.connect = function (address, port) {
    return connect.call(this, ...place(address, port));
  };
  prototype.send = function (request, list, count, ...rest) {
    const [port, address] = rest;
    if (typeof port !== 'number' || typeof address !== 'string') return send.call(this, request, list, count, ...rest);
    const [to, real] = place(address, port);
    return send.call(this, request, list, count, real, to, ...rest.slice(2));
  };
}
