import { createServer, request } from 'node:http';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChunkDecoder } from './chunked.ts';
import { H1Headers } from './h1-headers.ts';
import { HeadOffsets, PARSE, parseRequestHead, parseResponseHead } from './h1-parser.ts';
import { splitTarget } from './h1-target.ts';

const LIMITS = { maxBytes: 61_440, maxHeaders: 100 };
const parse = (text: string, limits = LIMITS): { outcome: number; head: HeadOffsets; headers: H1Headers } => {
  const buffer = Buffer.from(text, 'latin1');
  const head = new HeadOffsets();
  const outcome = parseRequestHead(buffer, 0, buffer.length, head, limits);
  const headers = new H1Headers();
  if (outcome === PARSE.complete) headers.load(buffer, head, head.fieldsStart);
  return { outcome, head, headers };
};
const GET = 'GET /p HTTP/1.1\r\n';

describe('parseRequestHead', () => {
  it('finds the parts without changing order, and lower-cases names', () => {
    const { outcome, head, headers } = parse(`${GET}Host: a\r\nX-One:  1 \r\nx-two:\r\nX-One: 3\r\n\r\nbody`);
    expect(outcome).toBe(PARSE.complete);
    expect([...headers.entries()]).toEqual([['host', 'a'], ['x-one', '1'], ['x-two', ''], ['x-one', '3']]);
    expect(headers.getAll('x-one')).toEqual(['1', '3']);
    expect(head.end).toBe(`${GET}Host: a\r\nX-One:  1 \r\nx-two:\r\nX-One: 3\r\n\r\n`.length);
  });

  it.each([
    ['bare LF after the request line', 'GET / HTTP/1.1\nhost: a\r\n\r\n', PARSE.malformed],
    ['bare LF after a header', `${GET}host: a\n\r\n`, PARSE.malformed],
    ['bare CR in a value', `${GET}x: a\rb\r\n\r\n`, PARSE.malformed],
    ['folding', `${GET}x: a\r\n b\r\n\r\n`, PARSE.malformed],
    ['space before the colon', `${GET}x : a\r\n\r\n`, PARSE.malformed],
    ['empty name', `${GET}: a\r\n\r\n`, PARSE.malformed],
    ['name with a bad byte', `${GET}x(y): a\r\n\r\n`, PARSE.malformed],
    ['NUL in a value', `${GET}x: \0\r\n\r\n`, PARSE.badCharacter],
    ['DEL in a value', `${GET}x: \x7f\r\n\r\n`, PARSE.badCharacter],
    ['two spaces', 'GET  / HTTP/1.1\r\n\r\n', PARSE.malformed],
    ['no version', 'GET /\r\n\r\n', PARSE.malformed],
    ['lower-case http', 'GET / http/1.1\r\n\r\n', PARSE.malformed],
    ['HTTP/3.0', 'GET / HTTP/3.0\r\n\r\n', PARSE.otherVersion],
    ['CL and TE', `${GET}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`, PARSE.lengthAndChunked],
    ['two CL', `${GET}content-length: 1\r\ncontent-length: 1\r\n\r\n`, PARSE.badLength],
    ['CL with sign', `${GET}content-length: +1\r\n\r\n`, PARSE.badLength],
    ['CL in hex', `${GET}content-length: 0x1\r\n\r\n`, PARSE.badLength],
    ['CL list', `${GET}content-length: 1,1\r\n\r\n`, PARSE.badLength],
    ['empty CL', `${GET}content-length:\r\n\r\n`, PARSE.badLength],
    ['endless CL', `${GET}content-length: 99999999999999999\r\n\r\n`, PARSE.badLength],
    ['TE other', `${GET}transfer-encoding: gzip\r\n\r\n`, PARSE.unknownCoding],
    ['TE chunked last', `${GET}transfer-encoding: gzip, chunked\r\n\r\n`, PARSE.unknownCoding],
    ['TE hidden by VT', `${GET}transfer-encoding: \x0bchunked\r\n\r\n`, PARSE.badCharacter],
    ['TE twice', `${GET}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n`, PARSE.unknownCoding],
    ['TE on 1.0', 'GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n', PARSE.unknownCoding],
    ['two hosts', `${GET}host: a\r\nhost: a\r\n\r\n`, PARSE.badHost],
    ['101 headers', `${GET}${'a: b\r\n'.repeat(101)}\r\n`, PARSE.tooManyHeaders],
    ['100 headers', `${GET}${'a: b\r\n'.repeat(100)}\r\n`, PARSE.complete],
    ['too many bytes', `${GET}a: ${'b'.repeat(62_000)}\r\n\r\n`, PARSE.tooLarge],
    ['too many bytes, no end', `${GET}a: ${'b'.repeat(62_000)}`, PARSE.tooLarge],
    ['obs-text value', `${GET}a: \xe4\r\n\r\n`, PARSE.complete],
    ['leading empty line', `\r\n${GET}\r\n`, PARSE.complete],
    ['endless method', 'A'.repeat(100), PARSE.malformed],
  ])('%s', (_name, text, outcome) => {
    expect(parse(text).outcome).toBe(outcome);
  });

  it('drops hop-by-hop lines and what connection names, but neither host nor content-length', () => {
    const { headers, head } = parse(`${GET}host: a\r\nconnection: close, X-Drop, host, content-length\r\nkeep-alive: 5\r\nx-drop: 1\r\nte: gzip\r\nproxy-connection: x\r\nupgrade: foo\r\ncontent-length: 0\r\nlast: 1\r\n\r\n`);
    expect([...headers.entries()].map(([name]) => name)).toEqual(['host', 'content-length', 'last']);
    expect(headers.serialize()).toBe('host: a\r\ncontent-length: 0\r\nlast: 1\r\n');
    expect(head.close).toBe(true);
  });

  it('is partial at every cut and the same at any split', () => {
    const text = `POST /p?q HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nx: y\r\n\r\n`;
    for (let cut = 0; cut < text.length; cut++) expect(parse(text.slice(0, cut)).outcome, `cut at ${cut}`).toBe(PARSE.partial);
    expect(parse(text).outcome).toBe(PARSE.complete);
  });

  it('never throws and never reads past the end', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const buffer = Buffer.from(bytes);
      const head = new HeadOffsets();
      const outcome = parseRequestHead(buffer, 0, buffer.length, head, LIMITS);
      if (outcome === PARSE.complete) expect(head.end).toBeLessThanOrEqual(buffer.length);
      parseResponseHead(buffer, 0, buffer.length, head, LIMITS);
    }), { numRuns: 2000 });
  });
});

describe('H1Headers', () => {
  it('behaves like a list of lines whatever is done to it', () => {
    const name = fc.constantFrom('a', 'b', 'x-long', 'c');
    const value = fc.constantFrom('1', 'two', '');
    const line = fc.tuple(name, value);
    const change = fc.oneof(fc.tuple(fc.constant('set' as const), name, value), fc.tuple(fc.constant('append' as const), name, value), fc.tuple(fc.constant('remove' as const), name, value));
    fc.assert(fc.property(fc.array(line, { maxLength: 8 }), fc.array(change, { maxLength: 8 }), (lines, changes) => {
      const { headers } = parse(`${GET}${lines.map(([key, text]) => `${key}: ${text}\r\n`).join('')}\r\n`);
      let model: (readonly [string, string])[] = [...lines];
      for (const [kind, key, text] of changes) {
        if (kind !== 'append') model = model.filter(([other]) => other !== key);
        if (kind !== 'remove') model.push([key, text]);
        headers[kind](key, text);
      }
      expect([...headers.entries()]).toEqual(model);
      expect(headers.serialize()).toBe(model.map(([key, text]) => `${key}: ${text}\r\n`).join(''));
      for (const key of ['a', 'b', 'x-long', 'c']) {
        expect(headers.getAll(key)).toEqual(model.filter(([other]) => other === key).map(([, text]) => text));
        expect(headers.get(key)).toBe(model.find(([other]) => other === key)?.[1]);
        expect(headers.has(key)).toBe(model.some(([other]) => other === key));
      }
    }));
  });

  it('cannot be made to write a second line', () => {
    const { headers } = parse(`${GET}\r\n`);
    headers.set('a', 'b\r\nevil: 1');
    headers.append('c', 'd\ne');
    expect(headers.serialize()).toBe('a: bevil: 1\r\nc: de\r\n');
  });
});

describe('ChunkDecoder', () => {
  const decode = (pieces: readonly Buffer[]): { data: string; done: boolean; rest: number } | undefined => {
    const decoder = new ChunkDecoder();
    let data = '';
    for (const piece of pieces) {
      let at = 0;
      while (at < piece.length) {
        if (decoder.done) return { data, done: true, rest: piece.length - at };
        at = decoder.step(piece, at, piece.length);
        if (at < 0) return undefined;
        data += piece.toString('latin1', decoder.dataStart, decoder.dataEnd);
      }
    }
    return { data, done: decoder.done, rest: 0 };
  };

  it('decodes the same at any split', () => {
    fc.assert(fc.property(fc.array(fc.string({ minLength: 1, maxLength: 40, unit: fc.constantFrom('a', '\r', '\n', '0') }), { maxLength: 5 }), fc.array(fc.nat(200), { maxLength: 6 }), fc.constantFrom('', 'x: y\r\n'), fc.constantFrom('', ';ext=1'), (chunks, cuts, trailer, extension) => {
      const wire = Buffer.from(`${chunks.map((chunk) => `${chunk.length.toString(16)}${extension}\r\n${chunk}\r\n`).join('')}0\r\n${trailer}\r\nREST`, 'latin1');
      const points = [0, ...cuts.map((cut) => Math.min(cut, wire.length)).sort((a, b) => a - b), wire.length];
      const pieces = points.slice(1).map((point, index) => wire.subarray(points[index], point)).filter((piece) => piece.length > 0);
      const result = decode(pieces)!;
      expect(result.data).toBe(chunks.join(''));
      expect(result.done).toBe(true);
    }));
  });

  it.each(['zz\r\n', '\r\n', '5\n', ' 5\r\n', '5 \r\nhello\r\n', '5\r\nhelloXX', '-1\r\n', '0x5\r\n', 'fffffffffffffff\r\n', '0\r\nbad trailer\r\n\r\n', '1\r\na\n', `1;${'x'.repeat(20_000)}`, '1;a\nb\r\n'])('refuses %j', (text) => {
    expect(decode([Buffer.from(text, 'latin1')])).toBeUndefined();
  });
});

describe('splitTarget', () => {
  it.each([
    ['GET', '/a?b', 'h', { path: '/a?b', authority: 'h' }],
    ['GET', 'http://o.example/x?y', 'h', { path: '/x?y', authority: 'o.example' }],
    ['GET', 'http://o.example', 'h', { path: '/', authority: 'o.example' }],
    ['GET', 'http://o.example?q', 'h', { path: '/?q', authority: 'o.example' }],
    ['GET', 'http://user@o.example/', 'h', undefined],
    ['OPTIONS', '*', 'h', { path: '*', authority: 'h' }],
    ['GET', '*', 'h', undefined],
    ['GET', 'a', 'h', undefined],
    ['CONNECT', 'o:443', 'h', { path: '', authority: 'o:443' }],
    ['CONNECT', 'o/443', 'h', undefined],
  ])('%s %s', (method, target, host, expected) => {
    expect(splitTarget(method, target, host)).toEqual(expected);
  });
});

describe('against llhttp', () => {
  let server: Server;
  let port = 0;
  beforeAll(async () => {
    server = createServer({ maxHeaderSize: 61_440 }, (incoming, response) => {
      incoming.on('error', () => {});
      incoming.resume();
      response.end('ok');
    });
    server.on('clientError', (_error, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const ask = (text: string): Promise<boolean> => new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(received.startsWith('HTTP/1.1 200')));
    socket.end(Buffer.from(text, 'latin1'));
  });

  it('accepts no head that llhttp refuses', async () => {
    const part = fc.constantFrom('host: a', 'Host : a', 'x: y', 'x:\ty', 'content-length: 0', 'content-length: 00', 'Content-Length: 0', 'transfer-encoding: chunked', 'Transfer-Encoding: identity', 'transfer-encoding:chunked', ' folded', 'x: \x00', 'x: \x80', 'x: a\rb', ': v', 'na me: v', 'connection: close', 'connection: upgrade', 'upgrade: foo', 'x', 'x: "q"', 'a\x7f: b', 'té: x');
    const separator = fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\n\t');
    const line = fc.constantFrom('GET / HTTP/1.1', 'GET / HTTP/1.1', 'POST / HTTP/1.1', 'GET /a b HTTP/1.1', 'GET\t/ HTTP/1.1', 'GET / HTTP/1.1 ', ' GET / HTTP/1.1', 'GET / HTTP/1.10', 'GET http://a/ HTTP/1.1', 'GET /\x01 HTTP/1.1', 'G@T / HTTP/1.1');
    await fc.assert(fc.asyncProperty(line, separator, fc.array(fc.tuple(part, separator), { maxLength: 5 }), async (first, end, rest) => {
      const text = `${first}${end}host: b\r\n${rest.map(([content, ending]) => content + ending).join('')}\r\n`;
      const { outcome, head } = parse(text);
      // The method list and targets are checked by the server connection, not here.
      if (outcome !== PARSE.complete || head.wantsUpgrade) return;
      if (splitTarget('GET', text.slice(head.targetStart, head.targetEnd), 'b') === undefined || text.startsWith('G@T')) return;
      const body = head.chunked ? '0\r\n\r\n' : '';
      expect(await ask(`${text.slice(0, head.end)}${body}`), JSON.stringify(text)).toBe(true);
    }), { numRuns: 300 });
  });

  it('is understood by llhttp when it writes', async () => {
    const status = await new Promise<number>((resolve, reject) => {
      request({ port, path: '/' }, (response) => resolve(response.statusCode!)).on('error', reject).end();
    });
    expect(status).toBe(200);
  });
});
