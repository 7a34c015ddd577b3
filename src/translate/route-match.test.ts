import { describe, expect, it } from 'vitest';
import type { HttpMatch } from '../model/virtual-service.ts';
import { isCatchAll, routeMatch } from './route-match.ts';

const match = (parts: Partial<HttpMatch>): HttpMatch => ({ name: '', uri: undefined, ignoreUriCase: false, scheme: undefined, method: undefined, authority: undefined, headers: [], withoutHeaders: [], queryParams: [], port: 0, sourceLabels: {}, sourceNamespace: '', gateways: [], statPrefix: '', ...parts });

describe('route match', () => {
  it.each([
    ['nothing', undefined, true], ['an empty block', match({}), true], ['prefix /', match({ uri: { kind: 'prefix', value: '/' } }), true], ['regex .*', match({ uri: { kind: 'regex', value: '.*' } }), true],
    ['only a port', match({ port: 80 }), true], ['prefix /a', match({ uri: { kind: 'prefix', value: '/a' } }), false], ['a header', match({ headers: [{ name: 'x', match: { kind: 'present' } }] }), false],
    ['a query', match({ queryParams: [{ name: 'x', match: { kind: 'exact', value: '' } }] }), false], ['a method', match({ method: { kind: 'exact', value: 'GET' } }), false],
    ['only a reserved header name', match({ headers: [{ name: 'uri', match: { kind: 'present' } }] }), true],
  ])('%s: catch-all %s', (_, value, expected) => expect(isCatchAll(routeMatch(value))).toBe(expected));
  it('inverts withoutHeaders and counts a missing one as no match', () => {
    const [header] = routeMatch(match({ withoutHeaders: [{ name: 'X-A', match: { kind: 'exact', value: 'b' } }] })).headers;
    expect([header?.name, header?.invertMatch, header?.treatMissingHeaderAsEmpty]).toEqual(['x-a', true, true]);
    expect(routeMatch(match({ withoutHeaders: [{ name: 'x', match: { kind: 'present' } }] })).headers[0]?.treatMissingHeaderAsEmpty).toBe(false);
  });
  it('keeps whole segments for Gateway API prefixes', () => {
    expect(routeMatch(match({ uri: { kind: 'segment-prefix', value: '/a/' } })).pathSpecifier).toEqual({ case: 'pathSeparatedPrefix', value: '/a' });
    expect(routeMatch(match({ uri: { kind: 'segment-prefix', value: '/' } })).pathSpecifier).toEqual({ case: 'prefix', value: '/' });
  });
});
