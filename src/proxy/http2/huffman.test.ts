import { describe, expect, it } from 'vitest';
import { decodeHuffman } from './huffman.ts';

const decode = (hex: string): string | undefined => {
  const source = Buffer.from(hex, 'hex');
  const target = Buffer.alloc(source.length * 2);
  const length = decodeHuffman(source, 0, source.length, target);
  return length < 0 ? undefined : target.toString('latin1', 0, length);
};

describe('Huffman code', () => {
  // RFC 7541 appendix C.4 and C.6.
  it.each([
    ['f1e3c2e5f23a6ba0ab90f4ff', 'www.example.com'],
    ['a8eb10649cbf', 'no-cache'],
    ['25a849e95bb8e8b4bf', 'custom-value'],
    ['d07abe941054d444a8200595040b8166e082a62d1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
    ['', ''],
  ])('%s → %s', (hex, text) => expect(decode(hex)).toBe(text));

  it.each([
    ['EOS inside', 'ffffffff'],
    ['padding of eight ones', 'f1e3c2e5f23a6ba0ab90f4ffff'],
    ['padding of zeros', 'f1e3c2e5f23a6ba0ab90f480'],
    ['cut off inside a long code', 'fffc'],
  ])('refuses %s', (_name, hex) => expect(decode(hex)).toBeUndefined());
});
