import { describe, expect, it } from 'vitest';
import { decodeBase64, decodeBase64Text, utf8Bytes, utf8Text } from './base64.ts';

describe('base64', () => {
  it.each([['', ''], ['Zg==', 'f'], ['Zm8', 'fo'], ['Zm9v\nYmFy', 'foobar'], ['w6TDtsO8IPCfjI0=', 'äöü 🌍']])('decodes %j', (text, expected) => expect(decodeBase64Text(text)).toBe(expected));
  it.each(['a', 'ab$d', 'Zm9vYmFyI'])('refuses %j', (text) => expect(decodeBase64(text)).toBeUndefined());
  it('says no to bytes that are no text', () => expect(decodeBase64Text('/w==')).toBeUndefined());
  it.each(['', 'plain', 'ß→𝕏', 'a%b'])('goes there and back for %j', (text) => {
    expect([...utf8Bytes(text)]).toEqual([...Buffer.from(text)]);
    expect(utf8Text(utf8Bytes(text))).toBe(text);
  });
  it('replaces lone surrogates', () => expect([...utf8Bytes('a\ud800b')]).toEqual([...Buffer.from('a\ud800b')]));
});
