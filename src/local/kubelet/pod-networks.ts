/** How pods get a network, and how the node reaches into one: the part of the kubelet that differs between the two networks. */
import type { Socket } from 'node:net';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { closePodNetwork, networkName, openPodNetwork } from './network.ts';
import { dialPod } from './pod-dial.ts';
import type { LoopbackPod } from './pod-context.ts';

export interface PodNetworks {
  /** Gives the pod its address; returns when it can be used. Resolves with the network's name. */
  open(pod: Pod, ip: string, sysctls: Readonly<Record<string, string>>): Promise<string>;
  /** Ends what still uses the network and removes it; of a pod that has none, nothing. */
  close(uid: string): Promise<void>;
  /** Connects to `localhost:port` inside the pod. Rejects with a kubelet's words. */
  dial(uid: string, port: number): Promise<Socket>;
  /** What containers must be told, where there are no namespaces. */
  loopback(pod: Pod, podIP: string): LoopbackPod | undefined;
}

/** A network namespace for every pod. */
export const namespaceNetworks: PodNetworks = {
  async open(pod, ip, sysctls) {
    const name = networkName(pod.metadata.uid ?? '');
    await openPodNetwork(name, ip, sysctls);
    return name;
  },
  close: (uid) => closePodNetwork(networkName(uid)),
  dial: (uid, port) => dialPod(networkName(uid), port),
  loopback: () => undefined,
};
