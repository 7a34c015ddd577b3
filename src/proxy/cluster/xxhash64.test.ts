import { expect, it } from 'vitest';
import { xxHash64 } from './xxhash64.ts';

// Vectors of the xxHash specification's reference implementation.
it.each([
  ['', 0xef46db3751d8e999n],
  ['a', 0xd24ec4f1a98c6e5bn],
  ['abc', 0x44bc2cf5ad770999n],
  ['foobar', 0xa2aa05ed9085aaf9n],
  ['abcdefghijklmnopqrstuvwxyz0123456789', 0x64f23ecf1609b766n],
])('hashes %j', (text, expected) => expect(xxHash64(text)).toBe(expected));
