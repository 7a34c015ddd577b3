/** The node's heartbeat: its Lease in kube-node-lease. @see https://kubernetes.io/docs/concepts/architecture/leases/#node-heart-beats */
import type { Clock, Timer } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { KubeClient } from '../../kube/client/client.ts';
import type { Lease } from '../../objects/kubernetes/lease.ts';
import { LEASE, NODE } from '../../objects/resource-types.ts';
import { NODE_NAME } from '../settings.ts';

const log = createLogger('kubelet');

const NAMESPACE = 'kube-node-lease';
const DURATION_SECONDS = 40;
/** A quarter of the duration, as a kubelet does. */
const RENEW_MS = 10_000;

export interface NodeLeaseOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Writes the Lease and keeps it renewed until the signal. Resolves after the first attempt; one that fails is made again. */
export async function keepNodeLease({ client, clock, signal }: NodeLeaseOptions): Promise<void> {
  let timer: Timer | undefined;
  signal.addEventListener('abort', () => timer?.cancel(), { once: true });
  const beat = async (): Promise<void> => {
    try {
      await renew(client, clock.now());
    } catch (error) {
      log.warn('the lease of the node could not be renewed', { error: messageOf(error) });
    }
    if (!signal.aborted) timer = clock.after(RENEW_MS, () => void beat());
  };
  await beat();
}

async function renew(client: KubeClient, nowMs: number): Promise<void> {
  // metav1.MicroTime.
  const spec = { holderIdentity: NODE_NAME, leaseDurationSeconds: DURATION_SECONDS, renewTime: new Date(nowMs).toISOString().replace('Z', '000Z') };
  if (await client.get<Lease>(LEASE, NODE_NAME, NAMESPACE)) return void (await client.mergePatch(LEASE, NODE_NAME, NAMESPACE, { spec }));
  const node = await client.get(NODE, NODE_NAME);
  const ownerReferences = node?.metadata.uid === undefined ? [] : [{ apiVersion: 'v1', kind: 'Node', name: NODE_NAME, uid: node.metadata.uid }];
  await client.create<Lease>(LEASE, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: NODE_NAME, namespace: NAMESPACE, ownerReferences }, spec } as Lease);
}
