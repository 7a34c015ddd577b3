/** What one of several control planes does for Gateway API and Ingress: statuses, and deployments of Gateways. */
import type { Clock } from '../../base/clock.ts';
import type { KubeClient } from '../../kube/client/client.ts';
import { electLeader } from '../../kube/client/leader-election.ts';
import type { StatusUpdate } from '../../resolve/gateway-api/convert.ts';
import type { GatewayApiFeatures } from '../../resolve/gateway-api/features.ts';
import { GatewayDeployments } from './gateway-deployments.ts';
import type { ObjectSource } from './object-source.ts';
import type { ControlPlaneOptions } from './options.ts';
import { StatusWriter } from './status-writer.ts';

export interface GatewayDutiesOptions {
  readonly client: KubeClient;
  readonly source: ObjectSource;
  readonly features: GatewayApiFeatures;
  readonly options: ControlPlaneOptions;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Asks for the statuses again. */
  readonly refresh: () => void;
}

export interface GatewayDuties {
  /** After every rebuild. */
  update(statuses: readonly StatusUpdate[]): void;
  /** Statuses of EnvoyFilters: they change when proxies answer. */
  updateFilters(statuses: readonly StatusUpdate[]): void;
  /** Stands for election; to be called when the objects are known. */
  start(): void;
}

export function createGatewayDuties({ client, source, features, options, clock, signal, refresh }: GatewayDutiesOptions): GatewayDuties {
  const { systemNamespace, revision } = options;
  const writer = new StatusWriter({ client, clock, signal, onConflict: refresh });
  const filterWriter = new StatusWriter({ client, clock, signal, onConflict: () => {} });
  const deployments = new GatewayDeployments({ client, source, features, systemNamespace, revision, clock, signal });
  return {
    update(statuses) {
      writer.set(statuses);
      deployments.reconcile();
    },
    updateFilters: (statuses) => filterWriter.set(statuses),
    start() {
      const name = revision === '' ? 'istio-gateway-leader' : `istio-gateway-leader-${revision}`;
      electLeader({
        client, clock, signal, name, namespace: systemNamespace, identity: options.podName,
        onChange: (leading) => {
          writer.lead(leading);
          filterWriter.lead(leading);
          deployments.lead(leading);
        },
      });
    },
  };
}
