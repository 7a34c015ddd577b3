import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { sha256Hex } from './sha256.ts';

it.each([0, 1, 3, 55, 56, 63, 64, 65, 119, 120, 1000])('is what OpenSSL says for %i letters', (length) => {
  const text = 'aé€'.repeat(length).slice(0, length);
  expect(sha256Hex(text)).toBe(createHash('sha256').update(text).digest('hex'));
});
