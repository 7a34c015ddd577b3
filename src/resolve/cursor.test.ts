import { describe, expect, it } from 'vitest';
import { Cursor } from './cursor.ts';

function open(value: unknown): { readonly cursor: Cursor; readonly problems: string[] } {
  const problems: string[] = [];
  return { cursor: new Cursor(value, 'spec', (path, message) => problems.push(`${path}: ${message}`)), problems };
}

describe('Cursor', () => {
  it('finds camelCase and snake_case', () => {
    expect(open({ mirror_percent: 5 }).cursor.at('mirrorPercent').number()).toBe(5);
    expect(open({ mirrorPercent: 6, mirror_percent: 5 }).cursor.at('mirrorPercent').number()).toBe(6);
  });
  it('reads what is missing as absent, without complaint', () => {
    const { cursor, problems } = open({});
    expect([cursor.at('a').at('b').text(), cursor.at('a').items(), cursor.at('a').number(), cursor.at('a').durationMs()]).toEqual([undefined, [], undefined, undefined]);
    expect(problems).toEqual([]);
  });
  it.each([
    [{ a: 'x' }, (c: Cursor) => c.at('a').number(), 'spec.a: must be a number'],
    [{ a: {} }, (c: Cursor) => c.at('a').items(), 'spec.a: must be a list'],
    [{ a: [] }, (c: Cursor) => c.at('a').at('b'), 'spec.a: must be an object'],
    [{ a: [] }, (c: Cursor) => c.at('a').text(), 'spec.a: must be a string'],
    [{ a: ['x', {}] }, (c: Cursor) => c.at('a').strings(), 'spec.a[1]: must be a string'],
    [{ a: 'soon' }, (c: Cursor) => c.at('a').durationMs(), 'spec.a: "soon" is not a duration; write it like 10s, 0.5s or 100ms'],
    [{ a: 'X' }, (c: Cursor) => c.at('a').oneOf(['A', 'B']), 'spec.a: "X" is unknown; use one of A, B'],
    [7, (c: Cursor) => c.at('a'), 'spec: must be an object'],
  ] as const)('reports %j', (value, read, problem) => {
    const { cursor, problems } = open(value);
    read(cursor);
    expect(problems).toEqual([problem]);
  });
  it('does not see inherited names', () => {
    expect(open({}).cursor.at('constructor').exists).toBe(false);
    expect(open({}).cursor.at('toString').exists).toBe(false);
    const map = open(JSON.parse('{"__proto__": "x", "a": "b"}')).cursor.stringMap();
    expect(Object.keys(map)).toEqual(['__proto__', 'a']);
  });
});
