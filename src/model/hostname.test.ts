import { describe, expect, it } from 'vitest';
import { addressBits, covers, isIp, mostSpecific, networkOf, overlaps, parseCidr } from './hostname.ts';

describe('hostname', () => {
  it.each([
    ['*', 'a.b', true], ['a.b', 'a.b', true], ['*.b', 'a.b', true], ['*.b', 'b', false], ['*.b', 'x.a.b', true], ['*.a.b', '*.b', false], ['*.b', '*.a.b', true], ['a.b', '*.b', false], ['*.com', 'acom', false],
  ])('%s covers %s: %s', (pattern, host, expected) => expect(covers(pattern, host)).toBe(expected));
  it('overlaps both ways', () => {
    expect(overlaps('*.b', 'a.b')).toBe(true);
    expect(overlaps('a.b', '*.b')).toBe(true);
    expect(overlaps('a.b', 'c.b')).toBe(false);
  });
  it('finds the most specific pattern', () => {
    expect(mostSpecific('x.a.b', ['*', '*.b', '*.a.b'])).toBe('*.a.b');
    expect(mostSpecific('x.a.b', ['*.a.b', 'x.a.b'])).toBe('x.a.b');
    expect(mostSpecific('x', ['*.b'])).toBeUndefined();
  });
  it.each([['1.2.3.4', true], ['1.2.3', false], ['256.1.1.1', false], ['::1', true], ['fe80::1%eth0', false], ['a.b', false]])('isIp(%s) = %s', (text, expected) => expect(isIp(text)).toBe(expected));
  it.each([['10.0.0.0/8', 8], ['10.0.0.1', 32], ['::/0', 0], ['1::2', 128]])('reads the prefix of %s', (text, prefix) => expect(parseCidr(text)?.prefix).toBe(prefix));
  it.each(['10.0.0.0/33', 'x/8', '10.0.0.0/', ''])('refuses %j', (text) => expect(parseCidr(text)).toBeUndefined());
  it('knows when only insignificant bits differ', () => {
    const network = (text: string) => networkOf(parseCidr(text)!);
    expect(network('10.1.2.3/8')).toBe(network('10.9.9.9/8'));
    expect(network('10.1.2.3/16')).not.toBe(network('10.9.9.9/16'));
    expect(network('1234:1f1:123::1/16')).toBe(network('1234::/16'));
  });
  it('reads IPv6 with an IPv4 tail', () => expect(addressBits('::ffff:1.2.3.4')).toBe(0xffff01020304n));
  it.each(['1:2:3', '1::2::3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8:9', 'g::'])('%s has no bits', (text) => expect(addressBits(text)).toBeUndefined());
});
