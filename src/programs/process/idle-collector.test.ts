import { describe, expect, it } from 'vitest';
import { IdleCollector } from './idle-collector.ts';

const MB = 1 << 20;

/** Looks once per entry: busy share and heap size in MB at that time; `#` where it collected. */
function run(looks: readonly (readonly [busy: number, heapMb: number])[]): string {
  let now: readonly [number, number] = [0, 0];
  const collector = new IdleCollector({ busyShare: () => now[0], heapBytes: () => now[1] * MB, collect: () => {} });
  return looks.map((look) => ((now = look), collector.look() ? '#' : '.')).join('');
}

const times = (count: number, look: readonly [number, number]) => Array.from({ length: count }, () => look);

describe('IdleCollector', () => {
  it.each([
    ['collects twice when it rests, then no more', times(10, [0, 20]), '.#.#......'],
    ['never collects under load', times(10, [0.3, 200]), '..........'],
    ['starts again after work', [...times(6, [0, 20] as const), [0.9, 90] as const, ...times(6, [0, 40] as const)], '.#.#...' + '.#.#..'],
    ['leaves a little garbage alone', [...times(4, [0, 20] as const), ...times(4, [0, 24] as const)], '.#.#....'],
    ['collects gathered garbage', [...times(4, [0, 20] as const), ...times(5, [0, 26] as const)], '.#.#.#.#.'],
    ['waits for a share of a large heap', [...times(4, [0, 200] as const), ...times(4, [0, 240] as const)], '.#.#....'],
    ['one busy look breaks the quiet', [[0, 20] as const, [0.2, 20] as const, [0, 20] as const, [0, 20] as const], '...#'],
  ])('%s', (_, looks, expected) => expect(run(looks)).toBe(expected));
});
