import { expect, it } from 'vitest';
import { parseKeySet } from './key-set.ts';

const key = { kty: 'oct', k: 'YQ', alg: 'HS256' };

it('reads no more than a hundred keys: each may cost a signature check per request', () => {
  expect(parseKeySet(JSON.stringify({ keys: Array.from({ length: 5000 }, () => key) }))).toHaveLength(100);
});

it('takes names of Object.prototype for no field', () => {
  expect(parseKeySet('{"__proto__":{"keys":[{"kty":"oct","k":"YQ"}]}}')).toEqual([]);
  expect(parseKeySet('{"keys":[{"__proto__":{"kty":"oct","k":"YQ"}}]}')).toEqual([]);
});
