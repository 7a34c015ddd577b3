/** SHA-256 for rooms without Node's crypto: names that other controllers must arrive at as well. Not for secrets. */

import { utf8Bytes } from './base64.ts';

const ROUND_CONSTANTS = roundConstants();

/** The digest of a text's UTF-8 bytes, as 64 lower-case hexadecimal digits. @see https://csrc.nist.gov/pubs/fips/180-4/upd1/final */
export function sha256Hex(text: string): string {
  const state = new Uint32Array([0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19]);
  const words = paddedWords(utf8Bytes(text));
  for (let start = 0; start < words.length; start += 16) addBlock(state, words.subarray(start, start + 16));
  return [...state].map((word) => word.toString(16).padStart(8, '0')).join('');
}

/** The message, a 1 bit, zeros and the length in bits, as big-endian words of whole blocks. */
function paddedWords(message: Uint8Array): Uint32Array {
  const words = new Uint32Array(((message.length + 8) >>> 6) * 16 + 16);
  message.forEach((byte, index) => (words[index >>> 2]! |= byte << (24 - (index % 4) * 8)));
  words[message.length >>> 2]! |= 0x80 << (24 - (message.length % 4) * 8);
  words[words.length - 2] = Math.floor(message.length / 0x2000_0000);
  words[words.length - 1] = message.length * 8;
  return words;
}

function addBlock(state: Uint32Array, block: Uint32Array): void {
  const schedule = new Uint32Array(64);
  schedule.set(block);
  for (let index = 16; index < 64; index++) {
    const [early, late] = [schedule[index - 15]!, schedule[index - 2]!];
    const small = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const large = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    schedule[index] = schedule[index - 16]! + small + schedule[index - 7]! + large;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let index = 0; index < 64; index++) {
    const first = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[index]! + schedule[index]!) >>> 0;
    const second = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) >>> 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) >>> 0, c, b, a, (first + second) >>> 0];
  }
  for (const [index, value] of [a, b, c, d, e, f, g, h].entries()) state[index]! += value;
}

function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

/** The first 32 bits of the fractions of the cube roots of the first 64 primes. */
function roundConstants(): Uint32Array {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < 64; candidate++) if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  return new Uint32Array(primes.map((prime) => Math.floor((Math.cbrt(prime) % 1) * 0x1_0000_0000)));
}
