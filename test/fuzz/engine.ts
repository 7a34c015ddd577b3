/** Byte mutation: seeds are damaged again and again, and whatever a decoder does with them other than return or refuse is a find. */

/** A decoder under test. */
export interface FuzzTarget {
  readonly name: string;
  /** Well-formed inputs that mutations start from. */
  readonly seeds: readonly Uint8Array[];
  /** Takes any bytes. Throws only for a bug: refusals that a decoder documents are caught inside. */
  run(bytes: Buffer): void | Promise<void>;
}

/** An input that a decoder cannot take. */
export interface Find {
  readonly target: string;
  /** Repeats the run: `npm run fuzz -- --target NAME --seed SEED`. */
  readonly seed: number;
  readonly iteration: number;
  readonly input: Buffer;
  readonly problem: string;
}

export interface FuzzResult {
  readonly target: string;
  readonly iterations: number;
  readonly find: Find | undefined;
}

/** One input may not hold the program up for longer. */
export const HANG_MS = 1000;
/** A decoder that keeps what it was given shows in the heap. */
const MAX_GROWTH_BYTES = 400 * 1024 * 1024;
const MAX_INPUT_BYTES = 128 * 1024;
/** Texts that parsers like to trip over. */
const WORDS = ['\r\n', '\n', '\r', '\0', ' ', ':', ';', ',', '"', '{', '}', '[', ']', '&a', '*a', '<<', '%2f', '../', '__proto__', 'constructor', 'chunked', 'content-length', '-1', '0x', '1e999', 'ffffffffffffffff', '\xff\xff\xff\xff', '\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01'].map((text) => Buffer.from(text, 'latin1'));

/** Numbers that a seed repeats (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A damaged copy: bytes are flipped, replaced, taken out, repeated, moved, or come from another input. */
export function mutate(random: () => number, input: Uint8Array, other: Uint8Array): Buffer {
  let bytes: Buffer = Buffer.from(input);
  const below = (limit: number): number => Math.floor(random() * limit);
  const splice = (from: number, to: number, between: Uint8Array): void => void (bytes = Buffer.concat([bytes.subarray(0, from), between, bytes.subarray(to)]));
  for (let rounds = 1 + below(4); rounds > 0; rounds--) {
    const from = below(bytes.length + 1);
    const to = Math.min(bytes.length, from + below(20));
    switch (below(8)) {
      case 0: if (bytes.length > 0) bytes[below(bytes.length)]! ^= 1 << below(8); break;
      case 1: if (bytes.length > 0) bytes[below(bytes.length)] = [0, 1, 0x7f, 0x80, 0xff, 10, 13, 32, below(256)][below(9)]!; break;
      case 2: splice(from, to, Buffer.alloc(0)); break;
      case 3: splice(from, from, WORDS[below(WORDS.length)]!); break;
      case 4: splice(to, to, Buffer.concat(Array.from({ length: below(200) }, () => bytes.subarray(from, to)))); break;
      case 5: splice(from, to, other.subarray(below(other.length), below(other.length + 1))); break;
      case 6: bytes = bytes.subarray(0, from) as Buffer; break;
      default: splice(from, to, Buffer.from(Array.from({ length: below(12) }, () => below(256))));
    }
  }
  return bytes.subarray(0, MAX_INPUT_BYTES) as Buffer;
}

/** Runs one target until the time is up or something is found. Inputs that went well join the seeds now and then, so that damage adds up. */
export async function fuzz(target: FuzzTarget, seed: number, forMs: number, iterationsLimit = Infinity): Promise<FuzzResult> {
  const random = randomOf(seed);
  const pool: Uint8Array[] = [...target.seeds];
  const pick = (): Uint8Array => pool[Math.floor(random() * pool.length)]!;
  const heapBefore = process.memoryUsage().heapUsed;
  const untilMs = performance.now() + forMs;
  let iteration = 0;
  for (; performance.now() < untilMs && iteration < iterationsLimit; iteration++) {
    const input = iteration < target.seeds.length ? Buffer.from(target.seeds[iteration]!) : mutate(random, pick(), pick());
    const found = (problem: string): FuzzResult => ({ target: target.name, iterations: iteration + 1, find: { target: target.name, seed, iteration, input, problem } });
    const fromMs = performance.now();
    try {
      const pending = target.run(Buffer.from(input));
      if (pending) await pending;
    } catch (thrown) {
      return found(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
    }
    const tookMs = performance.now() - fromMs;
    if (tookMs > HANG_MS) return found(`it took ${Math.round(tookMs)} ms`);
    if (iteration % 256 === 255) {
      const grownBytes = process.memoryUsage().heapUsed - heapBefore;
      if (grownBytes > MAX_GROWTH_BYTES) return found(`the heap grew by ${Math.round(grownBytes / 1024 / 1024)} MB`);
    }
    if (random() < 0.02 && input.length < 4096) pool[pool.length < 200 ? pool.length : Math.floor(random() * 200)] = input;
  }
  return { target: target.name, iterations: iteration, find: undefined };
}
