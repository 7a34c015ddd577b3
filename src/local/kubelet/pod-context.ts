import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { ImageMapping } from '../images.ts';
import type { PrivilegeMode } from '../settings.ts';
import type { EnvSources } from './env.ts';
import type { EventRecorder } from './events.ts';
import type { BindMount } from './rootfs.ts';
import type { PodNetwork } from '../loopback/pod-network.ts';

/** A pod without namespaces. */
export interface LoopbackPod {
  readonly network: Omit<PodNetwork, 'role' | 'mounts'>;
  /** State directory of the cluster. */
  readonly home: string;
  /** File that Node programs load first. */
  readonly preload: string;
}

/** What a container runner must know about its pod and its node. */
export interface PodContext {
  /** The latest version of the object. */
  pod(): Pod;
  readonly podIP: string;
  /** Network namespace. */
  readonly network: string;
  readonly mode: PrivilegeMode;
  /** What stands in for namespaces on a loopback cluster; undefined where there are some. */
  readonly loopback: LoopbackPod | undefined;
  readonly events: EventRecorder;
  /** Folder for container roots, gone with the cluster. */
  readonly rootsFolder: string;
  /** Folder for logs, kept until the pod is deleted. */
  readonly logsFolder: string;
  /** Our own programs, mounted into every container. */
  readonly programs: BindMount;
  /** `/etc/hosts` and its relatives. */
  readonly etcFiles: readonly { readonly path: string; readonly content: string }[];
  /** Variables of agents: which data plane they run. */
  readonly agentEnv: Readonly<Record<string, string>>;
  images(): readonly ImageMapping[];
  envSources(): EnvSources;
  /** Folder of a volume on the node; undefined for a name that the pod does not have. */
  volumePath(name: string): string | undefined;
  /** Something in a container's runtime changed. */
  changed(): void;
}
