import { describe, expect, it } from 'vitest';
import { compileUriTemplate } from './uri-template.ts';

describe('path templates', () => {
  it.each([
    ['/a/*', '/a/b', true], ['/a/*', '/a/', false], ['/a/*', '/a/b/c', false], ['/a/*', '/a/b%2fc', true], ['/a/*', '/a/b=c', false],
    ['/a/**', '/a/', true], ['/a/**', '/a/b/c', true], ['/a/**', '/a', false], ['/**/x', '/a/b/x', true], ['/**/x', '/x', false],
    ['/a.b/*/c', '/a.b/1/c', true], ['/a.b/*/c', '/aXb/1/c', false],
  ])('%s on %s: %s', (template, path, matches) => expect(compileUriTemplate(template)(path)).toBe(matches));
  it.each(['a/*', '/{x}', '/a*', '/**/*', '/**/**', '/*/*/*/*/*/*', '/a b'])('refuses %s', (template) => expect(() => compileUriTemplate(template)).toThrow('path template'));
});
