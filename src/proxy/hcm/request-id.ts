import { randomBytes } from 'node:crypto';

const HEX = Array.from({ length: 256 }, (_, byte) => (byte + 256).toString(16).slice(1));
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

function hex32(word: number): string {
  return HEX[word >>> 24]! + HEX[(word >>> 16) & 255]! + HEX[(word >>> 8) & 255]! + HEX[word & 255]!;
}

/** A version 4 UUID. */
export function newRequestId(): string {
  const a = random32();
  const b = random32();
  const c = random32();
  const d = random32();
  return `${hex32(a)}-${HEX[b >>> 24]}${HEX[(b >>> 16) & 255]}-${HEX[((b >>> 8) & 15) | 64]}${HEX[b & 255]}-${HEX[((c >>> 24) & 63) | 128]}${HEX[(c >>> 16) & 255]}-${HEX[(c >>> 8) & 255]}${HEX[c & 255]}${hex32(d)}`;
}
