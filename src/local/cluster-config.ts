/** What the launcher tells the cluster program, as JSON in one environment variable; and the lines it hears back. */
import type { HostListener } from './host-relay.ts';
import type { ImageMapping } from './images.ts';
import type { PrivilegeMode } from './settings.ts';

/** The variable that carries {@link ClusterConfig}. */
export const CLUSTER_CONFIG_VARIABLE = 'MELTEMI_CLUSTER_CONFIG';

export type DataPlane = 'proxy' | 'envoy';

export interface ClusterConfig {
  readonly home: string;
  readonly mode: PrivilegeMode;
  /** Lowest port that this user may open; matters on a loopback network only. */
  readonly firstPort: number;
  readonly dataPlane: DataPlane;
  readonly images: readonly ImageMapping[];
  /** The project's `meltemi.yaml`; it is watched. Mappings of `images` come first. */
  readonly project?: string;
  /** The Envoy binary on the host, when sidecars run it. */
  readonly envoyPath?: string;
  /** The API server's listener on the host's loopback. */
  readonly api: { readonly fd: number; readonly hostPort: number };
  readonly listeners: readonly HostListener[];
  /** Where {@link ProgressLine}s are written. */
  readonly progressFd: number;
  /** With `--foreground`: a pipe whose end means that the launcher is gone. */
  readonly tieFd?: number;
}

/** One line of JSON on the progress pipe. */
export type ProgressLine = { readonly step: string } | { readonly ready: true } | { readonly failed: string };
