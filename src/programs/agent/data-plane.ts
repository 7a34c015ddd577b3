// What a data plane is to the agent: ours in the same process, or Envoy as a child.
import type { ControlPlaneConnection } from '../../agent/certificates/ca-client.ts';
import type { AgentSecretSource } from '../../agent/certificates/secret-source.ts';
import type { AgentSettings } from '../../agent/settings.ts';
import type { ProxyControl } from '../../agent/status/admin-client.ts';
import type { AgentMetrics } from '../../agent/status/metrics.ts';
import type { NameService } from './name-service.ts';

/** What both data planes are given. */
export interface DataPlaneContext {
  readonly settings: AgentSettings;
  readonly controlPlane: ControlPlaneConnection;
  readonly secrets: AgentSecretSource;
  readonly names: NameService;
  readonly metrics: AgentMetrics;
  readonly version: string;
}

/** A started data plane. */
export interface RunningDataPlane {
  readonly control: ProxyControl;
  /** Exit code of the proxy, should it end before it is told to. */
  readonly exited: Promise<number>;
  /** Tells the control plane something, now and after every reconnect. */
  report(typeUrl: string, error: string | undefined): void;
  stop(): void;
}
