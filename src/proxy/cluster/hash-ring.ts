/** Consistent hashing: a ring and Maglev's table. */
import { xxHash64 } from './xxhash64.ts';

/** What is hashed: an address (the key) with a weight. */
export interface HashTarget {
  readonly address: string;
  readonly weight: number;
}

/** Finds the target of a hash; undefined only for no targets. */
export type HashLookup<T> = (hash: bigint) => T | undefined;

/**
 * Envoy's ring: every target stands on it `weight share × ring size` times, at the hashes of `<address>_<n>`.
 * `minimumSize` default 1024, `maximumSize` default 8 Mi.
 * @see envoy.config.cluster.v3.Cluster.RingHashLbConfig
 */
export function buildRing<T extends HashTarget>(targets: readonly T[], minimumSize = 1024, maximumSize = 8 * 1024 * 1024): HashLookup<T> {
  if (targets.length === 0) return () => undefined;
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  const smallest = Math.min(...targets.map(({ weight }) => weight)) / total;
  // Scaled so that the smallest share is whole, as Envoy does.
  const scale = Math.min(Math.ceil(smallest * minimumSize) / smallest, maximumSize);
  const points: { hash: bigint; target: T }[] = [];
  let current = 0;
  let target = 0;
  for (const one of targets) {
    target += (scale * one.weight) / total;
    for (let i = 0; current < target; i++, current++) points.push({ hash: xxHash64(`${one.address}_${i}`), target: one });
  }
  points.sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
  const hashes = BigUint64Array.from(points, ({ hash }) => hash);
  return (hash) => {
    let low = 0;
    let high = hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (hashes[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    return points[low === hashes.length ? 0 : low]!.target;
  };
}

/**
 * Maglev's table: every target fills free slots by its own permutation, in turns proportional to weight. `size` is prime, default 65537.
 * @see envoy.config.cluster.v3.Cluster.MaglevLbConfig
 */
export function buildMaglev<T extends HashTarget>(targets: readonly T[], size = 65_537): HashLookup<T> {
  if (targets.length === 0) return () => undefined;
  const largest = Math.max(...targets.map(({ weight }) => weight));
  const rows = targets.map((target) => {
    const offset = Number(xxHash64(target.address) % BigInt(size));
    return { at: offset, skip: Number(xxHash64(target.address, 1n) % BigInt(size - 1)) + 1, share: target.weight / largest, credit: 0 };
  });
  const table = new Int32Array(size).fill(-1);
  for (let filled = 0; filled < size; ) {
    for (const [index, row] of rows.entries()) {
      row.credit += row.share;
      if (row.credit < 1) continue;
      row.credit -= 1;
      while (table[row.at] !== -1) row.at = (row.at + row.skip) % size;
      table[row.at] = index;
      if (++filled === size) break;
    }
  }
  return (hash) => targets[table[Number(hash % BigInt(size))]!];
}
