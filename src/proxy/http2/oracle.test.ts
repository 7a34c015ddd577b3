/** node:http2 (nghttp2) against our codec, in every combination, over real sockets. */
import { connect, constants, createServer } from 'node:http2';
import type { ClientHttp2Session, Http2Server, IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { FieldHeaders } from '../http/field-headers.ts';
import { ask, openOurs, requestHead, serveOurs } from '../testing/http2.ts';
import type { Answer, TestServer } from '../testing/http2.ts';

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

async function ours(answer: Answer): Promise<TestServer> {
  const server = await serveOurs(answer);
  closers.push(server.close);
  return server;
}

async function nodeServer(settings: object, onStream: Parameters<Http2Server['on']>[1]): Promise<number> {
  const server = createServer({ settings });
  server.on('stream', onStream as never);
  await new Promise<void>((listening) => void server.listen(0, '127.0.0.1', listening));
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

function nodeClient(port: number, settings: object = {}): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, { settings });
  closers.push(() => session.destroy());
  return session;
}

interface NodeResponse {
  head: IncomingHttpHeaders;
  body: Buffer;
  trailers: IncomingHttpHeaders | undefined;
}

async function nodeAsk(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: Buffer, trailers?: OutgoingHttpHeaders): Promise<NodeResponse> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
    const got: NodeResponse = { head: {}, body: Buffer.alloc(0), trailers: undefined };
    const chunks: Buffer[] = [];
    if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.on('response', (head) => void (got.head = head));
    stream.on('trailers', (fields) => void (got.trailers = fields));
    stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => resolve({ ...got, body: Buffer.concat(chunks) }));
    if (body !== undefined) stream.end(body);
  });
}

/** Answers with what it got. */
const echo: Answer = (stream, body, trailers) => {
  const headers = FieldHeaders.of([['x-method', stream.head.method], ['x-path', stream.head.path], ['x-authority', stream.head.authority], ['x-trailer', trailers?.get('x-sum') ?? '-']]);
  for (const [name, value] of stream.head.headers.entries()) if (name.startsWith('x-in')) headers.append(name, value);
  stream.sendHead({ status: 200, headers }, false);
  if (body.length > 0) stream.sendBody(body, 0, body.length);
  stream.sendEnd(FieldHeaders.of([['grpc-status', '0']]));
};

const everyByte = String.fromCharCode(...Array.from({ length: 223 }, (_, index) => (index < 94 ? 33 + index : index + 33)).filter((code) => code !== 127));
const large = Buffer.alloc(3_000_000, 'abcdefghij');

describe('node:http2 client, our server', () => {
  it('carries fields, bodies and trailers', async () => {
    const session = nodeClient((await ours(echo)).port);
    const { head, body, trailers } = await nodeAsk(session, { ':method': 'POST', ':path': '/p?q=1', 'x-in': 'a', 'x-in2': 'b' }, Buffer.from('hello'), { 'x-sum': '5' });
    expect(head).toMatchObject({ ':status': 200, 'x-method': 'POST', 'x-path': '/p?q=1', 'x-in': 'a', 'x-in2': 'b', 'x-trailer': '5' });
    expect([body.toString(), trailers?.['grpc-status']]).toEqual(['hello', '0']);
  });

  it('decodes every byte that nghttp2 writes with Huffman codes', async () => {
    const session = nodeClient((await ours(echo)).port);
    for (const value of [everyByte, ...Array.from(everyByte, (character) => character.repeat(9))]) expect((await nodeAsk(session, { 'x-in': value })).head['x-in']).toBe(value);
  });

  it('carries 300 streams at once with growing headers, so that both tables turn over', async () => {
    const session = nodeClient((await ours(echo)).port);
    const answers = await Promise.all(Array.from({ length: 300 }, (_, index) => nodeAsk(session, { ':path': `/${index}`, [`x-in-${index % 40}`]: `v${index}`.repeat(index % 50) })));
    answers.forEach(({ head }, index) => expect([head['x-path'], head[`x-in-${index % 40}`]]).toEqual([`/${index}`, `v${index}`.repeat(index % 50)]));
  });

  it.each([['default window', {}], ['window of 1000', { initialWindowSize: 1000 }], ['no header table', { headerTableSize: 0 }], ['small header table', { headerTableSize: 100 }]])('echoes 3 MB: %s', async (_name, settings) => {
    const session = nodeClient((await ours(echo)).port, settings);
    const [first, second] = await Promise.all([nodeAsk(session, { ':method': 'POST' }, large), nodeAsk(session, { ':method': 'POST' }, large)]);
    expect([first.body.equals(large), second.body.equals(large)]).toEqual([true, true]);
    expect((await nodeAsk(session, { 'x-in': 'again' })).head['x-in']).toBe('again');
  });

  it('answers HEAD without a body, and 431 to headers that are too large', async () => {
    const session = nodeClient((await ours(echo)).port);
    expect((await nodeAsk(session, { ':method': 'HEAD' })).body.length).toBe(0);
    const many = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`x-${index}`, '1']));
    expect((await nodeAsk(session, many)).head[':status']).toBe(431);
    expect((await nodeAsk(session, { 'x-large': 'a'.repeat(62_000) })).head[':status']).toBe(431);
    expect((await nodeAsk(session, { 'x-large': 'a'.repeat(59_000) })).head[':status']).toBe(200);
  });

  it('drains in two steps: what is under way is answered, then the connection closes', async () => {
    const held: (() => void)[] = [];
    const server = await ours((stream, body, trailers) => void held.push(() => echo(stream, body, trailers)));
    const session = nodeClient(server.port);
    const answer = nodeAsk(session, {});
    while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const goAways: number[] = [];
    session.on('goaway', (code, last) => void goAways.push(last));
    const closed = new Promise((resolve) => session.on('close', resolve));
    for (const connection of server.connections) connection.drain();
    await new Promise((resolve) => setTimeout(resolve, 50));
    held[0]!();
    expect((await answer).head[':status']).toBe(200);
    await closed;
    expect(goAways[0]).toBe(0x7fffffff);
  });

  it('tells of a client that resets', async () => {
    let reset: string | undefined;
    const server = await serveOurs(echo, {}, () => ({ onBody: () => {}, onEnd: () => {}, onDrain: () => {}, onReset: (reason) => void (reset = reason) }));
    closers.push(server.close);
    const stream = nodeClient(server.port).request({ ':method': 'POST' }, { endStream: false });
    stream.on('error', () => {});
    stream.write('x');
    await new Promise((resolve) => setTimeout(resolve, 30));
    stream.close(constants.NGHTTP2_CANCEL);
    while (reset === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(reset).toBe('connection termination');
  });
});

describe('our client, node:http2 server', () => {
  const onEcho = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    const chunks: Buffer[] = [];
    let sum = '-';
    stream.on('trailers', (fields: IncomingHttpHeaders) => void (sum = String(fields['x-sum'])));
    stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('end', () => {
      stream.additionalHeaders({ ':status': 100 });
      stream.respond({ ':status': 200, 'x-in': headers['x-in'] ?? '', 'x-trailer': sum, 'x-path': headers[':path'] ?? '' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.concat(chunks));
    });
  };

  it.each([['defaults', {}], ['window of 1000', { initialWindowSize: 1000 }], ['no header table', { headerTableSize: 0 }]])('carries fields, 3 MB bodies, trailers and 100: %s', async (_name, settings) => {
    const client = await openOurs(await nodeServer(settings, onEcho));
    closers.push(() => client.connection.destroy());
    const answers = await Promise.all(Array.from({ length: 3 }, (_, index) => ask(client, requestHead({ method: 'POST', path: `/${index}`, headers: FieldHeaders.of([['x-in', everyByte]]) }), large, FieldHeaders.of([['x-sum', '7']]))));
    answers.forEach((answer, index) => {
      expect(answer.head).toMatchObject({ status: 200 });
      expect(answer.informational).toEqual([100]);
      expect(['x-in', 'x-trailer', 'x-path'].map((name) => answer.head!.headers.get(name))).toEqual([everyByte, '7', `/${index}`]);
      expect(answer.body.equals(large)).toBe(true);
      expect(answer.trailers!.get('grpc-status')).toBe('0');
    });
  });

  it('opens no more streams than the server takes', async () => {
    const client = await openOurs(await nodeServer({ maxConcurrentStreams: 3 }, onEcho));
    closers.push(() => client.connection.destroy());
    await ask(client, requestHead());
    const running = [1, 2, 3].map(() => ask(client, requestHead()));
    expect(client.usable).toBe(false);
    await Promise.all(running);
    expect(client.usable).toBe(true);
  });

  it.each([
    [constants.NGHTTP2_REFUSED_STREAM, 'remote refused stream reset'],
    [constants.NGHTTP2_INTERNAL_ERROR, 'remote reset'],
    [constants.NGHTTP2_PROTOCOL_ERROR, 'protocol error'],
  ])('RST_STREAM %i is %s', async (code, reason) => {
    const client = await openOurs(await nodeServer({}, (stream: ServerHttp2Stream) => {
      stream.on('error', () => {});
      stream.close(code);
    }));
    closers.push(() => client.connection.destroy());
    expect((await ask(client, requestHead())).reset).toBe(reason);
  });

  it('stops at GOAWAY and lets what runs finish', async () => {
    const client = await openOurs(await nodeServer({}, (stream: ServerHttp2Stream) => {
      stream.session!.goaway();
      setTimeout(() => {
        stream.respond({ ':status': 200 });
        stream.end('late');
      }, 30);
    }));
    const answer = await ask(client, requestHead());
    expect([answer.body.toString(), client.usable]).toEqual(['late', false]);
  });

  it('fails what runs when the connection is lost', async () => {
    const client = await openOurs(await nodeServer({}, (stream: ServerHttp2Stream) => stream.session!.destroy()));
    expect((await ask(client, requestHead())).reset).toBe('connection termination');
  });
});

describe('our client, our server', () => {
  it('echoes 3 MB on 20 streams at once', async () => {
    const client = await openOurs((await ours(echo)).port);
    closers.push(() => client.connection.destroy());
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(client, requestHead({ method: 'POST' }), large)));
    expect(answers.every(({ body }) => body.equals(large))).toBe(true);
  });
});
