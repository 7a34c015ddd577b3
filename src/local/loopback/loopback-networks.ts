/** Pods on loopback addresses: each has two, one where others reach it and one for its own localhost. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import net, { type Socket } from 'node:net';
import { join } from 'node:path';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { PodNetworks } from '../kubelet/pod-networks.ts';
import { allContainers } from '../kubelet/pod.ts';
import { answerQuestion, type ZoneSource } from '../dns-zone.ts';
import { CLUSTER_DOMAIN, DNS_SERVICE_IP, NODE_IP } from '../settings.ts';
import { localAddressOf, realPort } from './address-plan.ts';
import { createHttpForward, NODE_HTTP_PORT } from './http-forward.ts';
import { POD_NETWORK_VARIABLE, type PodNetwork } from './pod-network.ts';
import { candidates } from './preload/names.ts';
import { endProcesses } from './leftovers.ts';

export interface LoopbackOptions {
  readonly home: string;
  /** A folder per pod uid. */
  readonly folder: string;
  readonly preload: string;
  readonly firstPort: number;
  readonly zone: ZoneSource;
}

const NDOTS = 5;
const CONNECT_MS = 10_000;

/** First octet of this cluster's ranges. */
const base = (): number => Number(NODE_IP.split('.')[1]);

/** The node's own view: ports below the first one this user may open are shifted, nothing else is changed. */
export function nodeNetwork(folder: string, firstPort: number): PodNetwork {
  return { role: 'node', podIP: NODE_IP, localIP: '127.0.0.1', base: base(), firstPort, hostname: '', folder, dns: { server: DNS_SERVICE_IP, searches: [], ndots: NDOTS }, hosts: [], mounts: [] };
}

export function loopbackNetworks(options: LoopbackOptions): PodNetworks {
  const open = new Map<string, { readonly ip: string; readonly proxy: Server }>();
  const folderOf = (uid: string): string => join(options.folder, uid);
  return {
    async open(pod, ip) {
      const uid = pod.metadata.uid ?? '';
      const ports = join(folderOf(uid), 'ports');
      mkdirSync(ports, { recursive: true });
      // Declared ports are the proxy's from the start, as redirected ones are.
      for (const port of declaredPorts(pod)) writeFileSync(join(ports, String(port)), '');
      const proxy = createHttpForward((host, port) => dialForPod(options.zone, pod, ip, host, port));
      await new Promise<void>((resolve, reject) => proxy.once('error', reject).listen(NODE_HTTP_PORT, localAddressOf(ip), resolve));
      open.set(uid, { ip, proxy });
      return uid;
    },
    async close(uid) {
      const pod = open.get(uid);
      open.delete(uid);
      pod?.proxy.closeAllConnections();
      pod?.proxy.close();
      await endProcesses((environment) => environment.includes(`${POD_NETWORK_VARIABLE}=`) && environment.includes(`/${uid}/`));
      rmSync(folderOf(uid), { recursive: true, force: true });
    },
    async dial(uid, port) {
      const pod = open.get(uid);
      if (!pod) throw new Error(`dial tcp 127.0.0.1:${port}: connect: the pod has no network`);
      const real = realPort(port, options.firstPort);
      return connectTo({ host: localAddressOf(pod.ip), port: real }).catch(() => connectTo({ host: pod.ip, port: real })).catch((error: NodeJS.ErrnoException) => {
        throw new Error(`dial tcp 127.0.0.1:${port}: connect: ${error.code === 'ECONNREFUSED' ? 'connection refused' : error.message}`);
      });
    },
    loopback: (pod, podIP) => ({
      home: options.home, preload: options.preload,
      network: {
        podIP, localIP: localAddressOf(podIP), base: base(), firstPort: options.firstPort, hostname: pod.spec.hostname || pod.metadata.name, folder: folderOf(pod.metadata.uid ?? ''),
        dns: { server: DNS_SERVICE_IP, searches: searchesOf(pod), ndots: ndotsOf(pod) },
        hosts: [{ ip: podIP, names: [pod.spec.hostname || pod.metadata.name] }, ...(pod.spec.hostAliases ?? []).map(({ ip, hostnames }) => ({ ip: ip ?? '', names: hostnames ?? [] }))],
      },
    }),
  };
}

function declaredPorts(pod: Pod): readonly number[] {
  return allContainers(pod.spec).flatMap((container) => container.ports ?? []).filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP').map(({ containerPort }) => containerPort);
}

/** Search domains of resolv.conf, as the kubelet writes them. */
function searchesOf(pod: Pod): readonly string[] {
  const namespace = pod.metadata.namespace ?? 'default';
  const own = pod.spec.dnsPolicy === 'None' ? [] : [`${namespace}.svc.${CLUSTER_DOMAIN}`, `svc.${CLUSTER_DOMAIN}`, CLUSTER_DOMAIN];
  return [...own, ...(pod.spec.dnsConfig?.searches ?? [])];
}

function ndotsOf(pod: Pod): number {
  const asked = pod.spec.dnsConfig?.options?.find(({ name }) => name === 'ndots')?.value;
  return asked !== undefined && /^\d+$/.test(asked) ? Number(asked) : NDOTS;
}

/** A destination as a program of the pod names it, called from the pod's address. */
async function dialForPod(zone: ZoneSource, pod: Pod, podIP: string, host: string, port: number): Promise<Socket> {
  if (host === 'localhost' || host === '127.0.0.1' || host === '::1') return connectTo({ host: localAddressOf(podIP), port });
  const found = candidates(host, searchesOf(pod), ndotsOf(pod)).map((name) => lookupInZone(zone, name)).find((ips) => ips.length > 0);
  const address = found?.[Math.floor(Math.random() * found.length)] ?? host;
  return connectTo({ host: address, port, ...(address.startsWith('127.') ? { localAddress: podIP } : {}) });
}

/** Addresses of a name of the cluster; of an ExternalName service the name it stands for. */
function lookupInZone(zone: ZoneSource, name: string): readonly string[] {
  const answer = answerQuestion(zone, name, 'A');
  return answer.kind === 'found' ? answer.records.filter(({ type }) => type === 'A' || type === 'CNAME').map(({ data }) => String(data)) : [];
}

function connectTo(options: { readonly host: string; readonly port: number; readonly localAddress?: string }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ ...options, allowHalfOpen: true, noDelay: true });
    const timer = setTimeout(() => socket.destroy(new Error('i/o timeout')), CONNECT_MS);
    socket.once('error', (error) => (clearTimeout(timer), reject(error)));
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}
