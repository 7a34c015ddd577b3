/**
 * The Huffman code of HPACK, decoded four bits at a time. The code is canonical: codes of one length are consecutive in the order of their symbols, so the
 * lengths say everything.
 *
 * @see RFC 7541 appendix B
 */

const EOS = 256;

/** Symbols by code length. */
const SYMBOLS_OF_LENGTH: readonly (readonly [bits: number, symbols: readonly number[]])[] = [
  [5, codesOf('012aceiost')],
  [6, codesOf(' %-./3456789=A_bdfghlmnpru')],
  [7, codesOf(':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz')],
  [8, codesOf('&*,;XZ')],
  [10, codesOf('!"()?')],
  [11, codesOf("'+|")],
  [12, codesOf('#>')],
  [13, codesOf('\0$@[]~')],
  [14, codesOf('^}')],
  [15, codesOf('<`{')],
  [19, [92, 195, 208]],
  [20, [128, 130, 131, 162, 184, 194, 224, 226]],
  [21, [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]],
  [22, [129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233]],
  [23, [1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239]],
  [24, [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]],
  [25, [199, 207, 234, 235]],
  [26, [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]],
  [27, [203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]],
  [28, [2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249]],
  [30, [10, 13, 22, EOS]],
];

function codesOf(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

// A step is: next node (bits 0–11), symbol (12–19), and whether there is a symbol (20) or the code is wrong (21).
const NODE = 0xfff;
const HAS_SYMBOL = 1 << 20;
const FAILED = 1 << 21;

interface Machine {
  readonly steps: Int32Array;
  /** Nodes where a string may end: its padding is a run of fewer than eight ones. */
  readonly accepting: Uint8Array;
}

let machine: Machine | undefined;

/** Made when first needed: 16 KiB that an HTTP/1 proxy does not have to pay for. */
function huffmanMachine(): Machine {
  return (machine ??= buildMachine());
}

function buildMachine(): Machine {
  // A child is the index of a node, or -1 - symbol.
  const children: [number, number][] = [[0, 0]];
  let code = 0;
  let length = 0;
  for (const [bits, symbols] of SYMBOLS_OF_LENGTH) {
    code <<= bits - length;
    length = bits;
    for (const symbol of symbols) insertCode(children, code++, bits, symbol);
  }
  const steps = new Int32Array(children.length * 16);
  for (let node = 0; node < children.length; node++) for (let nibble = 0; nibble < 16; nibble++) steps[(node << 4) | nibble] = stepOf(children, node, nibble);
  const accepting = new Uint8Array(children.length);
  for (let node = 0, depth = 0; depth < 8; depth++, node = children[node]![1]) accepting[node] = 1;
  return { steps, accepting };
}

function insertCode(children: [number, number][], code: number, bits: number, symbol: number): void {
  let node = 0;
  for (let bit = bits - 1; bit > 0; bit--) {
    const side = (code >>> bit) & 1;
    if (children[node]![side] === 0) children[node]![side] = children.push([0, 0]) - 1;
    node = children[node]![side]!;
  }
  children[node]![code & 1] = -1 - symbol;
}

function stepOf(children: readonly (readonly [number, number])[], from: number, nibble: number): number {
  let node = from;
  let symbol = -1;
  for (let bit = 3; bit >= 0; bit--) {
    const child = children[node]![(nibble >> bit) & 1]!;
    if (child === -1 - EOS) return FAILED;
    if (child < 0) symbol = -1 - child;
    node = child < 0 ? 0 : child;
  }
  return node | (symbol < 0 ? 0 : (symbol << 12) | HAS_SYMBOL);
}

/**
 * Decodes the bytes from `start` to `end` into `target`, which must have room for 8/5 as many. Returns how many bytes came out, or -1 when the code is
 * wrong: EOS inside, or padding that is longer than seven bits or not all ones.
 *
 * @see RFC 7541 section 5.2
 */
export function decodeHuffman(buffer: Uint8Array, start: number, end: number, target: Uint8Array): number {
  const { steps, accepting } = huffmanMachine();
  let node = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = buffer[at]!;
    const high = steps[(node << 4) | (byte >> 4)]!;
    if ((high & FAILED) !== 0) return -1;
    if ((high & HAS_SYMBOL) !== 0) target[length++] = (high >> 12) & 255;
    const low = steps[((high & NODE) << 4) | (byte & 15)]!;
    if ((low & FAILED) !== 0) return -1;
    if ((low & HAS_SYMBOL) !== 0) target[length++] = (low >> 12) & 255;
    node = low & NODE;
  }
  return accepting[node] === 1 ? length : -1;
}
