import { randomBytes } from 'node:crypto';
import { latin1 } from '../io/latin1.ts';

const HEX = Buffer.from('0123456789abcdef');
/** `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx`; the digits are written anew for every id. */
const text = Buffer.from('00000000-0000-4000-8000-000000000000');
/** xorshift128 state. Request ids must be unique, not secret; a call into the crypto library per request costs more than the rest of the id. */
const state = new Uint32Array(4);
const seed = randomBytes(16);
for (let index = 0; index < 4; index++) state[index] = seed.readUInt32LE(index * 4) | 1;

function random32(): number {
  let t = state[3]!;
  const s = state[0]!;
  state[3] = state[2]!;
  state[2] = state[1]!;
  state[1] = s;
  t ^= t << 11;
  t ^= t >>> 8;
  state[0] = t ^ s ^ (s >>> 19);
  return state[0];
}

/** Writes the lowest `digits` hexadecimal digits of `word` from `at` on. */
function write(word: number, at: number, digits: number): void {
  for (let index = at + digits - 1; index >= at; index--) {
    text[index] = HEX[word & 15]!;
    word >>>= 4;
  }
}

/** A version 4 UUID, as one flat string: pieces put together cost more than all of this. */
export function newRequestId(): string {
  const b = random32();
  const c = random32();
  write(random32(), 0, 8);
  write(b, 9, 4);
  write(b >>> 16, 15, 3);
  text[19] = HEX[8 | (c & 3)]!;
  write(c >>> 2, 20, 3);
  write(c >>> 16, 24, 4);
  write(random32(), 28, 8);
  return latin1(text, 0, 36);
}
