import { describe, expect, it } from 'vitest';
import { containerArgv, findImageProgram, repositoryOf, splitCommand } from './images.ts';

describe('findImageProgram', () => {
  const last = (image: string, mappings: Parameters<typeof findImageProgram>[1] = []) => {
    const program = findImageProgram(image, mappings);
    return program && containerArgv(program, undefined, undefined).at(-1);
  };
  it.each([
    ['docker.io/istio/proxyv2:1.24.1', '/.meltemi/package/dist/agent.js'],
    ['proxyv2', '/.meltemi/package/dist/agent.js'],
    ['localhost:5000/istio/pilot:1', 'discovery'],
    ['docker.io/istio/examples-bookinfo-reviews-v3:1.20.2', '/.meltemi/package/dist/samples/reviews.js'],
    ['docker.io/kennethreitz/httpbin', '/.meltemi/package/dist/samples/httpbin.js'],
    ['myproxyv2', undefined],
    ['nginx:1.27', undefined],
  ])('%s → %s', (image, expected) => expect(last(image)).toBe(expected));

  it('prefers the last mapping of the user, with and without a tag, and by pattern', () => {
    const map = (image: string, command: string) => ({ image, command, cwd: '/work' });
    expect(last('nginx:1.27', [map('nginx', 'node a.js')])).toBe('a.js');
    expect(last('nginx:1.27', [map('nginx:1.27', 'a'), map('nginx', 'b')])).toBe('b');
    expect(last('nginx:1.27', [map('nginx:1.26', 'a')])).toBeUndefined();
    expect(last('ghcr.io/me/shop:7', [map('ghcr.io/me/*', 'shop')])).toBe('shop');
    expect(last('x', [map('x', 'a && b')])).toBe('a && b');
  });
});

describe('containerArgv', () => {
  const program = { entrypoint: ['entry'], cmd: ['c1', 'c2'], commands: { inner: ['real', 'inner.js'] } };
  it.each([
    [undefined, undefined, ['entry', 'c1', 'c2']],
    [undefined, ['a'], ['entry', 'a']],
    [['cmd'], undefined, ['cmd']],
    [['cmd'], ['a'], ['cmd', 'a']],
    [[], [], ['entry', 'c1', 'c2']],
    [['inner', '-b', ':80'], ['a'], ['real', 'inner.js', '-b', ':80', 'a']],
    [['toString'], undefined, ['toString']],
  ])('command %j args %j', (command, args, expected) => expect(containerArgv(program, command, args)).toEqual(expected));
});

it.each([
  ['a:1', 'a'],
  ['h:5000/a', 'h:5000/a'],
  ['h:5000/a:2@sha256:0', 'h:5000/a'],
])('repositoryOf %s', (image, expected) => expect(repositoryOf(image)).toBe(expected));

it.each([
  [`node "my app.js" --x='a b' c\\ d`, ['node', 'my app.js', '--x=a b', 'c d']],
  [`a ''`, ['a', '']],
  ['a | b', undefined],
  ['a $B', undefined],
  ['a "b', undefined],
  ['', undefined],
])('splitCommand %s', (text, expected) => expect(splitCommand(text)).toEqual(expected));
