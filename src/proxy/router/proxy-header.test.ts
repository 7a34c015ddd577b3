import { describe, expect, it } from 'vitest';
import { encodeProxyHeader, readProxyHeader } from './proxy-header.ts';

const four = { sourceAddress: '10.0.0.1', sourcePort: 40_000, destinationAddress: '10.0.0.2', destinationPort: 80 };
const six = { sourceAddress: 'fd00::1', sourcePort: 40_000, destinationAddress: 'fd00::2:3', destinationPort: 80 };

describe('PROXY header', () => {
  it('is written as text and as bytes', () => {
    expect(encodeProxyHeader('V1', four).toString()).toBe('PROXY TCP4 10.0.0.1 10.0.0.2 40000 80\r\n');
    expect(encodeProxyHeader('V2', four).toString('hex')).toBe('0d0a0d0a000d0a515549540a2111000c0a0000010a0000029c400050');
    expect(encodeProxyHeader('V1', undefined).toString()).toBe('PROXY UNKNOWN\r\n');
  });
  it.each([['V1', four], ['V2', four], ['V1', six], ['V2', six], ['V1', undefined], ['V2', undefined]] as const)('%s comes back', (version, addresses) => {
    const bytes = encodeProxyHeader(version, addresses);
    expect(readProxyHeader(Buffer.concat([bytes, Buffer.from('GET')]))).toEqual({ kind: 'header', bytes: bytes.length, addresses });
    for (let length = 1; length < bytes.length; length++) expect(readProxyHeader(bytes.subarray(0, length)).kind).toBe('partial');
  });
  it.each([
    ['GET / HTTP/1.1\r\n', 'none'], ['PROXY TCP4 10.0.0.1 10.0.0.2 99999 80\r\n', 'broken'], ['PROXY TCP4 x y 1 2\r\n', 'broken'], [`PROXY ${'x'.repeat(200)}`, 'broken'], ['PROXY TCP9 1.1.1.1 1.1.1.1 1 1\r\n', 'broken'],
  ])('%s', (text, kind) => expect(readProxyHeader(Buffer.from(text)).kind).toBe(kind));
});
