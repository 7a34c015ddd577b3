import { expect, test } from 'vitest';
import { matcherOf, parseFieldSelector, parseLabelSelector } from './selectors.ts';

const labels = { app: 'reviews', version: 'v2', 'istio.io/rev': 'default', weight: '10' };

test.each([
  ['', true],
  ['app=reviews', true],
  ['app==reviews,version!=v1', true],
  ['app=reviews,version=v1', false],
  ['version in (v1, v2)', true],
  ['version notin (v1,v2)', false],
  ['missing notin (a)', true],
  ['missing!=a', true],
  ['istio.io/rev', true],
  ['!istio.io/rev', false],
  ['!missing', true],
  ['weight>5', true],
  ['weight<5', false],
  ['constructor', false],
])('label selector %j → %s', (text, expected) => {
  expect(parseLabelSelector(text)(labels)).toBe(expected);
});

test.each(['a b', '=x', 'a in v1', '-a=b'])('refuses label selector %j', (text) => {
  expect(() => parseLabelSelector(text)(labels)).toThrow(expect.objectContaining({ code: 400 }));
});

test('selectors inside objects', () => {
  expect(matcherOf(undefined)(labels)).toBe(false);
  expect(matcherOf({})(undefined)).toBe(true);
  expect(matcherOf({ matchLabels: { app: 'reviews' }, matchExpressions: [{ key: 'version', operator: 'In', values: ['v2'] }] })(labels)).toBe(true);
  expect(matcherOf({ matchExpressions: [{ key: 'app', operator: 'DoesNotExist' }] })(labels)).toBe(false);
});

test('field selectors', () => {
  expect(parseFieldSelector('status.phase!=Running,metadata.name==a\\,b')).toEqual([
    { field: 'status.phase', equal: false, value: 'Running' },
    { field: 'metadata.name', equal: true, value: 'a,b' },
  ]);
  expect(() => parseFieldSelector('nonsense')).toThrow(expect.objectContaining({ code: 400 }));
});
