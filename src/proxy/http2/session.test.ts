/** Playbooks without sockets: bytes in, frames out. One case for each MUST of RFC 9113 and 7541 that we enforce. */
import { beforeEach, describe, expect, it } from 'vitest';
import { FieldHeaders } from '../http/field-headers.ts';
import { END, GET, POST, Receiver, SETTINGS, ServerPlay, WHOLE, goAwayOf, resetOf, setting, uint32 } from '../testing/http2-play.ts';
import { FakeConnection, block, frame, headersFrame, requestHead, serverOptions } from '../testing/http2.ts';
import type { WrittenFrame } from '../testing/http2.ts';
import { H2ClientConnection } from './client.ts';
import { ERROR, FLAG, FRAME, MAX_STREAMS, PREFACE } from './constants.ts';
import { H2ServerConnection } from './server.ts';

describe('connection errors', () => {
  const get = headersFrame(1, GET, true);
  it.each<[rfc: string, name: string, code: number, bytes: Buffer]>([
    ['4.2', 'frame larger than SETTINGS_MAX_FRAME_SIZE', ERROR.frameSize, frame(FRAME.data, 0, 1, Buffer.alloc(16_385))],
    ['4.3', 'block that cannot be decoded', ERROR.compression, frame(FRAME.headers, WHOLE | END, 1, 'ff8080808080')],
    ['4.3', 'block interrupted by another frame', ERROR.protocol, Buffer.concat([frame(FRAME.headers, END, 1, block(GET)), frame(FRAME.ping, 0, 0, '0000000000000000')])],
    ['4.3', 'block interrupted by an unknown frame', ERROR.protocol, Buffer.concat([frame(FRAME.headers, END, 1, block(GET)), frame(99, 0, 0, '00')])],
    ['5.1', 'DATA on an idle stream', ERROR.protocol, frame(FRAME.data, 0, 1, '00')],
    ['5.1', 'RST_STREAM on an idle stream', ERROR.protocol, frame(FRAME.rstStream, 0, 1, '00000000')],
    ['5.1', 'WINDOW_UPDATE on an idle stream', ERROR.protocol, frame(FRAME.windowUpdate, 0, 1, '00000001')],
    ['5.1.1', 'client stream with an even number', ERROR.protocol, headersFrame(2, GET, true)],
    ['5.1.1', 'stream with a lower number than one before', ERROR.streamClosed, Buffer.concat([headersFrame(5, GET, true), headersFrame(3, GET, true)])],
    ['6.1', 'DATA on stream 0', ERROR.protocol, frame(FRAME.data, 0, 0, '00')],
    ['6.1', 'padding as long as the frame', ERROR.protocol, Buffer.concat([headersFrame(1, POST, false), frame(FRAME.data, FLAG.padded, 1, '0300')])],
    ['6.1', 'padded DATA without a pad length', ERROR.frameSize, Buffer.concat([headersFrame(1, POST, false), frame(FRAME.data, FLAG.padded, 1)])],
    ['6.2', 'HEADERS on stream 0', ERROR.protocol, headersFrame(0, GET, true)],
    ['6.2', 'HEADERS with more padding than payload', ERROR.protocol, frame(FRAME.headers, WHOLE | END | FLAG.padded, 1, 'ff8286')],
    ['6.2', 'HEADERS shorter than its priority', ERROR.frameSize, frame(FRAME.headers, WHOLE | END | FLAG.priority, 1, '0000')],
    ['6.3', 'PRIORITY on stream 0', ERROR.protocol, frame(FRAME.priority, 0, 0, '0000000000')],
    ['6.4', 'RST_STREAM on stream 0', ERROR.protocol, frame(FRAME.rstStream, 0, 0, '00000000')],
    ['6.4', 'RST_STREAM of another size', ERROR.frameSize, Buffer.concat([get, frame(FRAME.rstStream, 0, 1, '000000')])],
    ['6.5', 'SETTINGS on a stream', ERROR.protocol, frame(FRAME.settings, 0, 1)],
    ['6.5', 'SETTINGS acknowledgement with a payload', ERROR.frameSize, frame(FRAME.settings, FLAG.ack, 0, '000400000000')],
    ['6.5', 'SETTINGS of another size', ERROR.frameSize, frame(FRAME.settings, 0, 0, '0004')],
    ['6.5.2', 'ENABLE_PUSH of 2', ERROR.protocol, frame(FRAME.settings, 0, 0, setting(2, 2))],
    ['6.5.2', 'INITIAL_WINDOW_SIZE of 2^31', ERROR.flowControl, frame(FRAME.settings, 0, 0, setting(4, 0x80000000))],
    ['6.5.2', 'MAX_FRAME_SIZE of 16383', ERROR.protocol, frame(FRAME.settings, 0, 0, setting(5, 16_383))],
    ['6.5.2', 'MAX_FRAME_SIZE of 2^24', ERROR.protocol, frame(FRAME.settings, 0, 0, setting(5, 0x1000000))],
    ['6.6', 'PUSH_PROMISE from a client', ERROR.protocol, frame(FRAME.pushPromise, WHOLE, 1, '00000002')],
    ['6.7', 'PING on a stream', ERROR.protocol, frame(FRAME.ping, 0, 1, '0000000000000000')],
    ['6.7', 'PING of another size', ERROR.frameSize, frame(FRAME.ping, 0, 0, '00')],
    ['6.8', 'GOAWAY on a stream', ERROR.protocol, frame(FRAME.goAway, 0, 1, '0000000000000000')],
    ['6.8', 'GOAWAY too short', ERROR.frameSize, frame(FRAME.goAway, 0, 0, '00000000')],
    ['6.9', 'WINDOW_UPDATE of 0 for the connection', ERROR.protocol, frame(FRAME.windowUpdate, 0, 0, '00000000')],
    ['6.9', 'WINDOW_UPDATE of another size', ERROR.frameSize, frame(FRAME.windowUpdate, 0, 0, '000001')],
    ['6.9.1', 'connection window above 2^31-1', ERROR.flowControl, frame(FRAME.windowUpdate, 0, 0, '7fffffff')],
    ['6.9.2', 'stream window above 2^31-1 by SETTINGS', ERROR.flowControl, Buffer.concat([get, frame(FRAME.windowUpdate, 0, 1, '7fff0000'), frame(FRAME.settings, 0, 0, setting(4, 0x7fffffff))])],
    ['6.10', 'CONTINUATION without HEADERS', ERROR.protocol, frame(FRAME.continuation, WHOLE, 1, block(GET))],
    ['6.10', 'CONTINUATION of another stream', ERROR.protocol, Buffer.concat([frame(FRAME.headers, END, 1, block(GET)), frame(FRAME.continuation, WHOLE, 3, '')])],
    ['6.10', 'CONTINUATION after a complete block', ERROR.protocol, Buffer.concat([get, frame(FRAME.continuation, WHOLE, 1, '')])],
    ['7541 2.3.3', 'index beyond the tables', ERROR.compression, frame(FRAME.headers, WHOLE | END, 1, 'be')],
    ['7541 6.1', 'index 0', ERROR.compression, frame(FRAME.headers, WHOLE | END, 1, '80')],
    ['7541 4.2', 'table size update after a field', ERROR.compression, frame(FRAME.headers, WHOLE | END, 1, '8220')],
    ['7541 6.3', 'table size above what we allow', ERROR.compression, frame(FRAME.headers, WHOLE | END, 1, '3fe21f82')],
    ['7541 5.1', 'integer that never ends', ERROR.compression, frame(FRAME.headers, WHOLE | END, 1, `7f${'ff'.repeat(20)}`)],
    ['7541 5.2', 'string longer than its block', ERROR.compression, frame(FRAME.headers, WHOLE | END, 1, '000561')],
    ['7541 5.2', 'Huffman padding longer than seven bits', ERROR.compression, frame(FRAME.headers, WHOLE | END, 1, '00851c6490b2cd39ba7f')],
    ['7541 5.2', 'Huffman padding of zeros', ERROR.compression, frame(FRAME.headers, WHOLE | END, 1, '00018001')],
    ['7541 5.2', 'EOS in a Huffman string', ERROR.compression, frame(FRAME.headers, WHOLE | END, 1, '0085ffffffff0161')],
  ])('RFC %s: %s', (_rfc, _name, code, bytes) => {
    const play = new ServerPlay();
    expect(goAwayOf(play.send(bytes))).toBe(code);
    expect(play.wire.closed).toBe(true);
  });

  it.each([['another preface', Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')], ['a first frame that is no SETTINGS', Buffer.concat([PREFACE, frame(FRAME.ping, 0, 0, '0000000000000000')])]])('RFC 3.4: %s', (_name, hello) => {
    const play = new ServerPlay(hello);
    expect(play.wire.closed).toBe(true);
  });
});

describe('stream errors', () => {
  const with1 = (...fields: string[]): Buffer => headersFrame(1, [...GET, ...fields], true);
  it.each<[rfc: string, name: string, bytes: Buffer]>([
    ['8.2.1', 'upper case in a name', with1('X-A', 'b')],
    ['8.2.1', 'empty name', with1('', 'b')],
    ['8.2.1', 'space in a name', with1('x a', 'b')],
    ['8.2.1', 'colon in a name', with1('x:a', 'b')],
    ['8.2.1', 'line feed in a value', with1('x-a', 'b\nc: d')],
    ['8.2.1', 'NUL in a value', with1('x-a', 'b\0')],
    ['8.2.1', 'space before a value', with1('x-a', ' b')],
    ['8.2.1', 'tab after a value', with1('x-a', 'b\t')],
    ['8.2.2', 'connection', with1('connection', 'close')],
    ['8.2.2', 'transfer-encoding', with1('transfer-encoding', 'chunked')],
    ['8.2.2', 'keep-alive', with1('keep-alive', '1')],
    ['8.2.2', 'proxy-connection', with1('proxy-connection', 'x')],
    ['8.2.2', 'upgrade', with1('upgrade', 'x')],
    ['8.2.2', 'te other than trailers', with1('te', 'gzip')],
    ['8.3', 'pseudo field after a field', with1('x', 'y', ':path', '/')],
    ['8.3', 'unknown pseudo field', headersFrame(1, [':x', 'y', ...GET], true)],
    ['8.3', ':status in a request', headersFrame(1, [':status', '200', ...GET], true)],
    ['8.3', 'pseudo field twice', headersFrame(1, [':path', '/a', ...GET], true)],
    ['8.3.1', 'no method', headersFrame(1, GET.slice(2), true)],
    ['8.3.1', 'no scheme', headersFrame(1, [...GET.slice(0, 2), ...GET.slice(4)], true)],
    ['8.3.1', 'no path', headersFrame(1, [':method', 'GET', ':scheme', 'http'], true)],
    ['8.3.1', 'empty path', headersFrame(1, [':method', 'GET', ':scheme', 'http', ':path', ''], true)],
    ['8.3.1', 'user information in :authority', headersFrame(1, [...GET.slice(0, 6), ':authority', 'u@a'], true)],
    ['8.3.1', 'host that differs from :authority', with1('host', 'b')],
    ['8.5', 'CONNECT with a path', headersFrame(1, [':method', 'CONNECT', ':path', '/', ':authority', 'a:1'], true)],
    ['8.5', 'CONNECT without :authority', headersFrame(1, [':method', 'CONNECT'], true)],
    ['smuggling', 'space in a path', headersFrame(1, [':method', 'GET', ':scheme', 'http', ':path', '/a HTTP/1.1'], true)],
    ['smuggling', 'space in a method', headersFrame(1, [':method', 'GET /', ':scheme', 'http', ':path', '/'], true)],
    ['8.1.1', 'content-length without a body', headersFrame(1, [...POST, 'content-length', '1'], true)],
    ['8.1.1', 'content-length that is no number', headersFrame(1, [...POST, 'content-length', '+1'], false)],
    ['8.1.1', 'two content-lengths', headersFrame(1, [...POST, 'content-length', '1', 'content-length', '2'], false)],
  ])('RFC %s: %s', (_rfc, _name, bytes) => {
    const play = new ServerPlay();
    const frames = play.send(bytes);
    expect([resetOf(frames), goAwayOf(frames), play.taken.length]).toEqual([ERROR.protocol, undefined, 0]);
    // The connection goes on.
    play.send(headersFrame(3, GET, true));
    expect(play.taken.length).toBe(1);
  });

  const open = headersFrame(1, [...POST, 'content-length', '4'], false);
  it.each<[rfc: string, name: string, code: number, bytes: Buffer]>([
    ['8.1.1', 'body longer than content-length', ERROR.protocol, frame(FRAME.data, 0, 1, '0000000000')],
    ['8.1.1', 'body shorter than content-length', ERROR.protocol, frame(FRAME.data, END, 1, '000000')],
    ['8.1.1', 'trailers before the content-length is reached', ERROR.protocol, headersFrame(1, ['x-t', '1'], true)],
    ['8.1', 'trailers without the end', ERROR.protocol, headersFrame(1, ['x-t', '1'], false)],
    ['6.9', 'WINDOW_UPDATE of 0', ERROR.protocol, frame(FRAME.windowUpdate, 0, 1, '00000000')],
    ['6.9.1', 'stream window above 2^31-1', ERROR.flowControl, frame(FRAME.windowUpdate, 0, 1, '7fffffff')],
    ['6.3', 'PRIORITY of another size', ERROR.frameSize, frame(FRAME.priority, 0, 1, '00')],
  ])('RFC %s: %s on an open stream', (_rfc, _name, code, bytes) => {
    const play = new ServerPlay();
    play.send(open);
    expect(resetOf(play.send(bytes))).toBe(code);
    expect(play.taken[0]!.events.at(-1)).toBe('connection termination');
    expect(play.server.activeStreams).toBe(0);
  });

  it('RFC 5.1: DATA and HEADERS after the end of a stream', () => {
    const play = new ServerPlay();
    play.send(headersFrame(1, GET, true), headersFrame(3, GET, true));
    expect(resetOf(play.send(frame(FRAME.data, 0, 1, '00')))).toBe(ERROR.streamClosed);
    expect(resetOf(play.send(headersFrame(3, ['x-t', '1'], true)))).toBe(ERROR.streamClosed);
    // What was on its way for a stream that we reset is no mistake.
    expect(play.send(frame(FRAME.data, 0, 1, '00'), headersFrame(3, ['x-t', '1'], true))).toEqual([]);
  });

  it('RFC 8.1: pseudo fields in trailers', () => {
    const play = new ServerPlay();
    play.send(headersFrame(1, POST, false));
    expect(resetOf(play.send(headersFrame(1, [':path', '/'], true)))).toBe(ERROR.protocol);
  });

  it('RFC 5.1.2: streams beyond SETTINGS_MAX_CONCURRENT_STREAMS are refused', () => {
    const play = new ServerPlay();
    for (let index = 0; index < MAX_STREAMS; index++) expect(resetOf(play.send(headersFrame(1 + index * 2, GET, true)))).toBeUndefined();
    expect(resetOf(play.send(headersFrame(1 + MAX_STREAMS * 2, GET, true)))).toBe(ERROR.refusedStream);
    play.taken[0]!.stream.sendHead({ status: 204, headers: new FieldHeaders() }, true);
    expect(resetOf(play.send(headersFrame(3 + MAX_STREAMS * 2, GET, true)))).toBeUndefined();
  });
});

describe('what servers do', () => {
  let play: ServerPlay;
  beforeEach(() => void (play = new ServerPlay()));

  it('says hello: SETTINGS, WINDOW_UPDATE, acknowledgement', () => {
    const fresh = new FakeConnection();
    const server = new H2ServerConnection(fresh, serverOptions, { onRequest: () => new Receiver(), onCodecError: () => {} }, () => {});
    const hello = Buffer.concat([PREFACE, SETTINGS]);
    server.onData(hello, 0, hello.length);
    (server as unknown as { writer: { flush(): void } }).writer.flush();
    expect(fresh.take().map(({ type, flags, streamId }) => [type, flags, streamId])).toEqual([[FRAME.settings, 0, 0], [FRAME.windowUpdate, 0, 0], [FRAME.settings, FLAG.ack, 0]]);
  });

  it('answers PING with its bytes, ignores PRIORITY, unknown frames and unknown settings', () => {
    const frames = play.send(frame(FRAME.priority, 0, 1, '0000000010'), frame(200, 255, 9, 'abcd'), frame(FRAME.settings, 0, 0, setting(99, 1)), frame(FRAME.ping, 0, 0, '0102030405060708'));
    expect(frames.map(({ type, flags, payload }) => [type, flags, payload.toString('hex')])).toEqual([[FRAME.settings, FLAG.ack, ''], [FRAME.ping, FLAG.ack, '0102030405060708']]);
  });

  it('takes a request byte by byte, padded, with priority and CONTINUATION', () => {
    const whole = block([...POST, 'x-long', 'y'.repeat(300)]);
    const first = Buffer.concat([Buffer.from([2]), Buffer.alloc(5), whole.subarray(0, 20), Buffer.alloc(2)]);
    const bytes = Buffer.concat([
      frame(FRAME.headers, FLAG.padded | FLAG.priority, 1, first), frame(FRAME.continuation, 0, 1, whole.subarray(20, 100)), frame(FRAME.continuation, WHOLE, 1, whole.subarray(100)),
      frame(FRAME.data, FLAG.padded, 1, Buffer.concat([Buffer.from([3]), Buffer.from('hello'), Buffer.alloc(3)])), frame(FRAME.data, 0, 1), headersFrame(1, ['x-t', 'sum'], true),
    ]);
    for (const byte of bytes) play.send(Buffer.from([byte]));
    expect(play.taken[0]!.stream.head.headers.get('x-long')).toBe('y'.repeat(300));
    expect(play.taken[0]!.events).toEqual([...Array.from({ length: 5 }, () => 'body 1'), 'trailers sum']);
  });

  it('joins cookie crumbs', () => {
    play.send(headersFrame(1, [...GET, 'cookie', 'a=1', 'x', 'y', 'cookie', 'b=2'], true));
    expect([...play.taken[0]!.stream.head.headers.entries()]).toEqual([['cookie', 'a=1; b=2'], ['x', 'y']]);
  });

  it('sends a whole answer in three frames, END_STREAM on the last', () => {
    play.send(headersFrame(1, GET, true));
    const { stream } = play.taken[0]!;
    stream.sendHead({ status: 200, headers: FieldHeaders.of([['connection', 'close'], ['x-a', 'b']]) }, false);
    stream.sendBody(Buffer.from('hello'), 0, 5);
    stream.sendEnd(FieldHeaders.of([['grpc-status', '0']]));
    const frames = play.flushed();
    expect(frames.map(({ type, flags }) => [type, flags])).toEqual([[FRAME.headers, WHOLE], [FRAME.data, 0], [FRAME.headers, WHOLE | END]]);
    expect(play.wire.fieldsOf(frames[0]!)).toEqual([':status', '200', 'x-a', 'b']);
    expect(play.server.activeStreams).toBe(0);
  });

  it('puts END_STREAM on the last DATA frame when there are no trailers', () => {
    play.send(headersFrame(1, GET, true));
    const { stream } = play.taken[0]!;
    stream.sendHead({ status: 200, headers: new FieldHeaders() }, false);
    stream.sendBody(Buffer.from('hello'), 0, 5);
    stream.sendEnd(undefined);
    expect(play.flushed().map(({ type, flags }) => [type, flags])).toEqual([[FRAME.headers, WHOLE], [FRAME.data, END]]);
  });

  it('answers early and resets the rest of the request with NO_ERROR', () => {
    play.send(headersFrame(1, POST, false));
    play.taken[0]!.stream.sendHead({ status: 403, headers: new FieldHeaders() }, true);
    expect(resetOf(play.flushed())).toBe(ERROR.none);
    expect(play.send(frame(FRAME.data, END, 1, '00'))).toEqual([]);
  });

  it('sends 70 KB of headers as CONTINUATION', () => {
    play.send(headersFrame(1, GET, true));
    play.taken[0]!.stream.sendHead({ status: 200, headers: FieldHeaders.of([['x', 'y'.repeat(70_000)]]) }, true);
    const frames = play.flushed();
    expect(frames.map(({ type, flags }) => [type, flags])).toEqual([[FRAME.headers, END], ...Array.from({ length: 3 }, () => [FRAME.continuation, 0]), [FRAME.continuation, WHOLE]]);
  });

  it('drains in two steps', () => {
    play.send(headersFrame(1, GET, true));
    play.server.drain();
    const announced = play.flushed();
    expect(announced.map(({ type }) => type)).toEqual([FRAME.goAway, FRAME.ping]);
    expect(announced[0]!.payload.readUInt32BE(0)).toBe(0x7fffffff);
    // On its way when the GOAWAY was sent: taken.
    play.send(headersFrame(3, GET, true));
    const final = play.send(frame(FRAME.ping, FLAG.ack, 0, announced[1]!.payload));
    expect(final[0]!.payload.readUInt32BE(0)).toBe(3);
    play.send(headersFrame(5, GET, true));
    expect(play.taken.length).toBe(2);
    for (const { stream } of play.taken) stream.sendHead({ status: 204, headers: new FieldHeaders() }, true);
    expect(play.wire.closed).toBe(true);
  });
});

describe('what clients do', () => {
  const start = (): { wire: FakeConnection; client: H2ClientConnection; receiver: Receiver; send: (...bytes: Buffer[]) => WrittenFrame[] } => {
    const wire = new FakeConnection();
    const client = new H2ClientConnection(wire, { onCapacity: () => {}, onClosed: () => {} });
    const receiver = new Receiver();
    const send = (...bytes: Buffer[]): WrittenFrame[] => {
      for (const piece of bytes) wire.sink.onData(piece, 0, piece.length);
      (client as unknown as { writer: { flush(): void } }).writer.flush();
      return wire.take();
    };
    client.start(requestHead(), true, receiver);
    send(SETTINGS);
    return { wire, client, receiver, send };
  };

  it.each<[string, Buffer[], string[]]>([
    ['head and end', [headersFrame(1, [':status', '204'], true)], ['head 204 end']],
    ['100, head, body, trailers', [headersFrame(1, [':status', '100'], false), headersFrame(1, [':status', '103'], false), headersFrame(1, [':status', '200'], false), frame(FRAME.data, 0, 1, '00'), headersFrame(1, ['x-t', 'a'], true)], ['100', 'head 200', 'body 1', 'trailers a']],
    ['trailers-only', [headersFrame(1, [':status', '200', 'grpc-status', '5'], true)], ['head 200 end']],
    ['a HEAD-like content-length with a body that is too short', [headersFrame(1, [':status', '200', 'content-length', '2'], false), frame(FRAME.data, END, 1, '00')], ['head 200', 'body 1', 'protocol error']],
    ['no :status', [headersFrame(1, ['x', 'y'], true)], ['protocol error']],
    [':status of letters', [headersFrame(1, [':status', 'abc'], true)], ['protocol error']],
    ['101', [headersFrame(1, [':status', '101'], false)], ['protocol error']],
    ['1xx that ends the stream', [headersFrame(1, [':status', '103'], true)], ['protocol error']],
    ['DATA before the head', [frame(FRAME.data, 0, 1, '00')], ['protocol error']],
    ['connection header', [headersFrame(1, [':status', '200', 'connection', 'x'], true)], ['protocol error']],
    ['RST_STREAM', [frame(FRAME.rstStream, 0, 1, uint32(ERROR.cancel))], ['remote reset']],
    ['RST_STREAM REFUSED_STREAM', [frame(FRAME.rstStream, 0, 1, uint32(ERROR.refusedStream))], ['remote refused stream reset']],
    ['GOAWAY that leaves the stream out', [frame(FRAME.goAway, 0, 0, '0000000000000000')], ['remote refused stream reset']],
    ['headers that are too large', [headersFrame(1, [':status', '200', ...Array.from({ length: 120 }, (_, index) => [`x${index}`, 'y']).flat()], true)], ['protocol error']],
  ])('%s', (_name, bytes, events) => {
    const { receiver, send, client } = start();
    send(...bytes);
    expect(receiver.events).toEqual(events);
    expect(client.activeStreams).toBe(0);
  });

  it('ends the connection over PUSH_PROMISE, streams of the server and ENABLE_PUSH', () => {
    for (const bytes of [frame(FRAME.pushPromise, WHOLE, 1, '00000002'), headersFrame(2, [':status', '200'], true), headersFrame(3, [':status', '200'], true), frame(FRAME.settings, 0, 0, setting(2, 1))]) {
      const { receiver, send, client } = start();
      expect(goAwayOf(send(bytes))).toBe(ERROR.protocol);
      expect(receiver.events).toEqual(['connection termination']);
      expect(client.usable).toBe(false);
    }
  });

  it('obeys MAX_CONCURRENT_STREAMS and tells when there is room', () => {
    const wire = new FakeConnection();
    let told = 0;
    const client = new H2ClientConnection(wire, { onCapacity: () => void told++, onClosed: () => {} });
    const send = (bytes: Buffer): void => wire.sink.onData(bytes, 0, bytes.length);
    send(frame(FRAME.settings, 0, 0, setting(3, 1)));
    client.start(requestHead(), true, new Receiver());
    expect(client.usable).toBe(false);
    send(headersFrame(1, [':status', '204'], true));
    expect([client.usable, told]).toEqual([true, 1]);
  });

  it('opens 100 streams before the first SETTINGS and as many as we like when these name no limit', () => {
    const wire = new FakeConnection();
    let told = 0;
    const client = new H2ClientConnection(wire, { onCapacity: () => void told++, onClosed: () => {} }, 150);
    const fill = (): number => {
      while (client.usable) client.start(requestHead(), true, new Receiver());
      return client.activeStreams;
    };
    expect(fill()).toBe(100);
    wire.sink.onData(SETTINGS, 0, SETTINGS.length);
    expect([told, fill()]).toEqual([1, 150]);
  });

  it('resets what is left of a request whose response is complete', () => {
    const wire = new FakeConnection();
    const client = new H2ClientConnection(wire, { onCapacity: () => {}, onClosed: () => {} });
    client.start(requestHead({ method: 'POST' }), false, new Receiver());
    const bytes = Buffer.concat([SETTINGS, headersFrame(1, [':status', '403'], true)]);
    wire.sink.onData(bytes, 0, bytes.length);
    (client as unknown as { writer: { flush(): void } }).writer.flush();
    expect(resetOf(wire.take())).toBe(ERROR.cancel);
  });
});
