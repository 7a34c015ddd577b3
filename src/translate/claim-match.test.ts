import { describe, expect, it } from 'vitest';
import { claimPath } from './claim-match.ts';

describe('claims in header names', () => {
  it.each([
    ['@request.auth.claims.sub', ['sub']], ['@request.auth.claims.a.b', ['a', 'b']], ['@request.auth.claims[a][b]', ['a', 'b']], ['@request.auth.claims[a.b@c]', ['a.b@c']],
    ['@request.auth.claims', undefined], ['@request.auth.claims.', undefined], ['@request.auth.claims[a', undefined], ['@request.auth.claimsx', undefined], ['x-a', undefined],
  ])('%s', (name, path) => expect(claimPath(name)).toEqual(path));
});
