/** The arithmetic of a Deployment's rollout, as pure functions. */
import { createHash } from 'node:crypto';

/** `25%` or a count, of `total`; percentages round up for surge and down for unavailable. */
export function resolveIntOrPercent(value: number | string | undefined, total: number, round: 'up' | 'down', fallback: string): number {
  const given = value ?? fallback;
  if (typeof given === 'number') return given;
  const percent = Number.parseFloat(given);
  if (!Number.isFinite(percent)) return 0;
  const exact = (percent * total) / 100;
  return given.endsWith('%') ? (round === 'up' ? Math.ceil(exact) : Math.floor(exact)) : percent;
}

export interface RolloutSet {
  readonly name: string;
  readonly replicas: number;
  readonly ready: number;
}

export interface RolloutLimits {
  readonly wanted: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/**
 * The next replica counts of a rolling update: the new set grows as far as the surge allows, old sets shrink as far as enough pods stay ready,
 * unready old pods first. Sets that keep their count are not in the answer.
 */
export function nextReplicas(fresh: RolloutSet, old: readonly RolloutSet[], limits: RolloutLimits): ReadonlyMap<string, number> {
  const { wanted } = limits;
  // Both zero would never move: Kubernetes counts one pod as unavailable then.
  const maxUnavailable = limits.maxSurge === 0 && limits.maxUnavailable === 0 ? 1 : limits.maxUnavailable;
  const changes = new Map<string, number>();
  const total = fresh.replicas + old.reduce((sum, set) => sum + set.replicas, 0);
  if (fresh.replicas > wanted) changes.set(fresh.name, wanted);
  else if (fresh.replicas < wanted) {
    const room = Math.max(0, wanted + limits.maxSurge - total);
    const grown = Math.min(wanted, fresh.replicas + room);
    if (grown !== fresh.replicas) changes.set(fresh.name, grown);
  }
  const readyTotal = fresh.ready + old.reduce((sum, set) => sum + set.ready, 0);
  let spareReady = Math.max(0, readyTotal - (wanted - maxUnavailable));
  for (const set of old) {
    const unready = Math.max(0, set.replicas - set.ready);
    const readyToDrop = Math.min(set.replicas - unready, spareReady);
    spareReady -= readyToDrop;
    const left = set.replicas - unready - readyToDrop;
    if (left !== set.replicas) changes.set(set.name, left);
  }
  return changes;
}

const SAFE_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** A short hash of a pod template in the letters Kubernetes uses, for `pod-template-hash`. */
export function templateHash(template: unknown): string {
  const digest = createHash('sha256').update(canonicalJson(template)).digest();
  return Array.from(digest.subarray(0, 10), (byte) => SAFE_ALPHABET[byte % SAFE_ALPHABET.length]).join('');
}

/** JSON with sorted keys, so that equal templates hash equally. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner);
}
