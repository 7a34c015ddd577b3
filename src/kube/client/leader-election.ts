/** One of several does the work: who holds a Lease. @see https://kubernetes.io/docs/concepts/architecture/leases/ */
import type { Clock, Timer } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { Lease } from '../../objects/kubernetes/lease.ts';
import { LEASE } from '../../objects/resource-types.ts';
import { ApiError, type KubeClient } from './client.ts';

const log = createLogger('leader');

/** A holder that has not been heard of for so long is gone. */
const LEASE_SECONDS = 15;
const RENEW_MS = 5000;

export interface LeaderElectionOptions {
  readonly client: KubeClient;
  readonly name: string;
  readonly namespace: string;
  /** Who we are; a restart under the same name takes over at once. */
  readonly identity: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called when we become the leader, and when we are not it any more. */
  readonly onChange: (leading: boolean) => void;
}

/**
 * Stands for election until the signal aborts. No clock is trusted, ours neither: a lease is old when we have seen it unchanged for its duration, and that
 * is counted in rounds of ours; a leader whose renewal does not come back in time stops, however long the call hangs.
 */
export function electLeader(options: LeaderElectionOptions): void {
  const { client, name, namespace, identity, clock, signal, onChange } = options;
  let leading = false;
  let seen: { readonly version: string; waitedMs: number } | undefined;
  let deadline: Timer | undefined;
  const set = (next: boolean) => {
    deadline?.cancel();
    // Before anybody else may take the lease.
    if (next) deadline = clock.after((LEASE_SECONDS * 1000 * 2) / 3, () => set(false));
    if (next === leading) return;
    leading = next;
    log.info(next ? 'leading' : 'not leading any more', { lease: `${namespace}/${name}`, identity });
    onChange(next);
  };
  const attempt = async (): Promise<boolean> => {
    const lease = await client.get<Lease>(LEASE, name, namespace);
    const time = new Date(clock.now()).toISOString().replace('Z', '000Z');
    const mine = { holderIdentity: identity, leaseDurationSeconds: LEASE_SECONDS, renewTime: time };
    if (!lease) {
      await client.create<Lease>(LEASE, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec: { ...mine, acquireTime: time, leaseTransitions: 0 } } as Lease);
      return true;
    }
    const { spec } = lease;
    const holder = spec?.holderIdentity ?? '';
    const version = lease.metadata.resourceVersion ?? '';
    if (seen?.version === version) seen.waitedMs += RENEW_MS;
    else seen = { version, waitedMs: 0 };
    if (holder !== '' && holder !== identity && seen.waitedMs < (spec?.leaseDurationSeconds ?? LEASE_SECONDS) * 1000) return false;
    const taken = holder === identity ? { ...spec, ...mine } : { ...spec, ...mine, acquireTime: time, leaseTransitions: (spec?.leaseTransitions ?? 0) + 1 };
    await client.update<Lease>(LEASE, { ...lease, spec: taken } as Lease);
    return true;
  };
  const round = async () => {
    let late = false;
    const timer = clock.after(RENEW_MS, () => (late = true));
    try {
      const won = await attempt();
      // An answer that took longer than a round says nothing of now; the next round asks again.
      if (!signal.aborted && !(won && late)) set(won);
    } catch (error) {
      const lost = error instanceof ApiError && error.code === 409;
      if (!lost) log.warn('the lease could not be renewed', { lease: `${namespace}/${name}`, error: messageOf(error) });
      else set(false);
    }
    timer.cancel();
    if (!signal.aborted) clock.after(RENEW_MS, () => void round());
  };
  signal.addEventListener('abort', () => set(false), { once: true });
  void round();
}
