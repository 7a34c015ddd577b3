import { describe, expect, test } from 'vitest';
import { findKind } from '../../../objects/registry.ts';
import { jsonPatch } from './json-patch.ts';
import { mergePatch } from './merge-patch.ts';
import { strategicMergePatch } from './strategic.ts';

describe('JSON patch', () => {
  test.each([
    ['add a field', { a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
    ['append to a list', { a: [1] }, [{ op: 'add', path: '/a/-', value: 2 }], { a: [1, 2] }],
    ['insert into a list', { a: [1, 3] }, [{ op: 'add', path: '/a/1', value: 2 }], { a: [1, 2, 3] }],
    ['remove', { a: 1, b: 2 }, [{ op: 'remove', path: '/b' }], { a: 1 }],
    ['replace', { a: { b: 1 } }, [{ op: 'replace', path: '/a/b', value: 2 }], { a: { b: 2 } }],
    ['escaped names', { 'a/b': 1, 'c~d': 2 }, [{ op: 'remove', path: '/a~1b' }, { op: 'remove', path: '/c~0d' }], {}],
    ['move', { a: 1 }, [{ op: 'move', from: '/a', path: '/b' }], { b: 1 }],
    ['copy', { a: { b: 1 } }, [{ op: 'copy', from: '/a', path: '/c' }], { a: { b: 1 }, c: { b: 1 } }],
    ['passing test', { a: 1 }, [{ op: 'test', path: '/a', value: 1 }, { op: 'remove', path: '/a' }], {}],
  ])('%s', (_name, document, patch, expected) => {
    const before = structuredClone(document);
    expect(jsonPatch(document, patch)).toEqual(expected);
    expect(document).toEqual(before);
  });

  test.each([
    ['a missing parent', [{ op: 'add', path: '/x/y', value: 1 }], 422],
    ['removing what is not there', [{ op: 'remove', path: '/x' }], 422],
    ['an index beyond the end', [{ op: 'add', path: '/a/5', value: 1 }], 422],
    ['a failing test', [{ op: 'test', path: '/b', value: 2 }], 422],
    ['an unknown operation', [{ op: 'frobnicate', path: '/b' }], 422],
    ['no list', { op: 'add' }, 400],
  ])('refuses %s', (_name, patch, code) => {
    expect(() => jsonPatch({ a: [1], b: 1 }, patch)).toThrow(expect.objectContaining({ code }));
  });

  test('sets a field named __proto__ without touching prototypes', () => {
    const result = jsonPatch({}, JSON.parse('[{"op":"add","path":"/__proto__","value":{"polluted":true}}]'));
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(JSON.stringify(result)).toBe('{"__proto__":{"polluted":true}}');
  });
});

// The examples of RFC 7386, appendix A.
test.each([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [['a', 'b'], ['c', 'd'], ['c', 'd']],
  [{ a: 'foo' }, null, null],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])('merge patch %j + %j', (target, patch, expected) => {
  expect(mergePatch(target, patch)).toEqual(expected);
});

describe('strategic merge patch of a deployment', () => {
  const { schema } = findKind('apps', 'Deployment')!;
  const deployment = (containers: unknown[], more: object = {}) => ({ spec: { template: { spec: { containers, ...more } } } });
  const merged = (live: unknown, patch: unknown): unknown => strategicMergePatch(live, patch, schema);

  test('merges containers and their environment by name', () => {
    const live = deployment([{ name: 'a', image: 'a:1', env: [{ name: 'X', value: '1' }] }, { name: 'b', image: 'b:1' }]);
    expect(merged(live, deployment([{ name: 'a', image: 'a:2', env: [{ name: 'Y', value: '2' }] }]))).toEqual(
      deployment([{ name: 'a', image: 'a:2', env: [{ name: 'X', value: '1' }, { name: 'Y', value: '2' }] }, { name: 'b', image: 'b:1' }]),
    );
  });

  test('deletes an item and follows the order', () => {
    const live = deployment([{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
    const patch = { spec: { template: { spec: { $setElementOrder: [], '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }], containers: [{ name: 'b', $patch: 'delete' }] } } } };
    const result = merged(live, patch) as ReturnType<typeof deployment>;
    expect(result.spec.template.spec.containers).toEqual([{ name: 'c' }, { name: 'a' }]);
  });

  test('replaces lists without a merge key, and maps told to be replaced', () => {
    const live = deployment([{ name: 'a', args: ['1', '2'] }], { nodeSelector: { a: 'b' } });
    expect(merged(live, deployment([{ name: 'a', args: ['3'] }], { nodeSelector: { $patch: 'replace', c: 'd' } }))).toEqual(deployment([{ name: 'a', args: ['3'] }], { nodeSelector: { c: 'd' } }));
  });

  test('drops what retainKeys does not name', () => {
    const live = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } };
    expect(merged(live, { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } })).toEqual({ spec: { strategy: { type: 'Recreate' } } });
  });

  test('deletes from a list of texts', () => {
    expect(merged({ metadata: { finalizers: ['a', 'b'] } }, { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['c'] } })).toEqual({ metadata: { finalizers: ['b', 'c'] } });
  });

  test('refuses an item without its key and an unknown directive', () => {
    expect(() => merged(deployment([]), deployment([{ image: 'x' }]))).toThrow('merge key');
    expect(() => merged({}, { spec: { $patch: 'frobnicate' } })).toThrow('unknown patch type');
  });
});
