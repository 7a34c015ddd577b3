/** Randomness that can be had again: the soak's meshes are made of it. */

/** Draws values; the same seed draws the same ones. */
export class Draw {
  constructor(private state: number) {}

  /** In [0, 1). */
  next(): number {
    // mulberry32
    let t = (this.state = (this.state + 0x6d2b79f5) | 0);
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  of<T>(...values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)]!;
  }

  maybe<T>(make: () => T): T | undefined {
    return this.next() < 0.35 ? make() : undefined;
  }

  list<T>(least: number, most: number, make: () => T): T[] {
    return Array.from({ length: this.integer(least, most) }, make);
  }

  /** Some of the values, in order. */
  some<T>(...values: readonly T[]): T[] {
    const chosen = values.filter(() => this.next() < 0.5);
    return chosen.length > 0 ? chosen : [this.of(...values)];
  }

  named<T>(names: readonly string[], make: () => T): Record<string, T> {
    return Object.fromEntries(this.some(...names).map((name) => [name, make()]));
  }
}
