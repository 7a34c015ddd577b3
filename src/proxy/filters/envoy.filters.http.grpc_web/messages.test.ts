import { describe, expect, it } from 'vitest';
import { FieldHeaders } from '../../http/field-headers.ts';
import { WebResponse, WebTextRequest } from './messages.ts';

function collect() {
  const seen = { body: '', ended: false };
  return { seen, exit: { body: (bytes: Buffer) => void (seen.body += bytes.toString('latin1')), end: () => void (seen.ended = true) } };
}

/** Every way to cut the bytes into two pieces, and one byte at a time. */
const cuts = (bytes: Buffer): Buffer[][] => [...Array.from({ length: bytes.length - 1 }, (_, index) => [bytes.subarray(0, index + 1), bytes.subarray(index + 1)]), [...bytes].map((byte) => Buffer.from([byte]))];
const message = (text: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);

describe('text answers', () => {
  const trailers = FieldHeaders.of([['grpc-status', '0'], ['grpc-message', 'fine']]);
  const block = Buffer.concat([Buffer.from([0x80, 0, 0, 0, 34]), Buffer.from('grpc-status:0\r\ngrpc-message:fine\r\n')]);
  const wanted = [message('hello'), message('four'), block].map((part) => part.toString('base64')).join('');
  it('are base64 message by message, wherever the bytes are cut', () => {
    for (const pieces of cuts(Buffer.concat([message('hello'), message('four')]))) {
      const { seen, exit } = collect();
      const response = new WebResponse(exit, true);
      for (const piece of pieces) response.push(piece);
      response.end(trailers);
      expect(seen).toEqual({ body: wanted, ended: true });
    }
  });
  it('keep what is no whole message', () => {
    const { seen, exit } = collect();
    const response = new WebResponse(exit, true);
    response.push(Buffer.from([0, 0]));
    response.end(undefined);
    expect(seen.body).toBe('AAA=');
  });
});

describe('text requests', () => {
  const decode = (pieces: readonly Buffer[]) => {
    const { seen, exit } = collect();
    let failure = '';
    const request = new WebTextRequest(exit, (what) => (failure = what));
    for (const piece of pieces) request.push(piece);
    request.end(undefined);
    return { ...seen, failure };
  };
  it('are decoded wherever they are cut', () => {
    for (const pieces of cuts(Buffer.from(message('abc').toString('base64')))) expect(decode(pieces)).toEqual({ body: message('abc').toString('latin1'), ended: true, failure: '' });
  });
  it.each([['AAAA!!!!', 'broken'], ['AAA', 'short'], ['AA==AAAA', 'broken'], ['AAAA\n', 'short']])('%j is refused as %s', (text, failure) => expect(decode([Buffer.from(text)])).toMatchObject({ ended: false, failure }));
});
