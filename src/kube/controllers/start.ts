/** The controllers of the embedded cluster; this file is their table of contents. */
import type { KubeObject } from '../../objects/meta.ts';
import type { ResourceType } from '../../objects/kind.ts';
import type { KubeClient } from '../client/client.ts';
import type { Informer } from '../client/informer.ts';
import type { ClusterSigners } from './certificate-signers.ts';
import { startCertificateSigning } from './certificate-signing.ts';
import { createControllerContext } from './context.ts';
import { startCronJobController } from './cron-job.ts';
import { startDaemonSetController } from './daemon-set.ts';
import { startDeploymentController } from './deployment.ts';
import { startDisruptionController } from './disruption.ts';
import { startEndpointsController } from './endpoints-controller.ts';
import { startGarbageCollector } from './garbage-collector.ts';
import { startJobController } from './job.ts';
import { startNamespaceController } from './namespace.ts';
import { startReplicaSetController } from './replica-set.ts';
import { startServiceAccountController } from './service-account.ts';
import { startStatefulSetController } from './stateful-set.ts';
import { startVolumeBinder, type VolumeFolders } from './volume-binder.ts';

export interface ControllerOptions {
  readonly client: KubeClient;
  readonly signal: AbortSignal;
  /** CA of the API server, published as `kube-root-ca.crt`. */
  readonly caPem: string;
  /** Sign approved CertificateSigningRequests; without them requests wait for other signers. */
  readonly signers?: ClusterSigners;
  /** Where volumes of claims are; without it claims wait for volumes that somebody else makes. */
  readonly volumes?: VolumeFolders;
  /** Makes the informer of a kind; several users of one kind share it. */
  readonly informer: <T extends KubeObject>(type: ResourceType) => Informer<T>;
}

/** Starts every controller; they run until the signal aborts. */
export function startControllers(options: ControllerOptions): void {
  const context = createControllerContext(options.client, options.signal, options.informer);
  startDeploymentController(context);
  startReplicaSetController(context);
  startStatefulSetController(context);
  startDaemonSetController(context);
  startJobController(context);
  startCronJobController(context);
  startDisruptionController(context);
  startEndpointsController(context);
  startServiceAccountController(context, options.caPem);
  startNamespaceController(context);
  startGarbageCollector(context);
  if (options.signers) startCertificateSigning(context, options.signers);
  if (options.volumes) startVolumeBinder(context, options.volumes);
}
