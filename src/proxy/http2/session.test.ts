/** Playbooks without sockets: bytes in, frames out. One case for each MUST of RFC 9113 and 7541 that we enforce. */
import { beforeEach, describe, expect, it } from 'vitest';
import { FieldHeaders } from '../http/field-headers.ts';
import type { BodyReceiver, ResponseReceiver, ServerStream } from '../http/stream.ts';
import { FakeConnection, block, frame, headersFrame, requestHead, serverOptions } from '../testing/http2.ts';
import type { WrittenFrame } from '../testing/http2.ts';
import { H2ClientConnection } from './client.ts';
import { CONNECTION_WINDOW_BYTES, ERROR, FLAG, FRAME, MAX_CONTINUATIONS, MAX_STREAMS, PREFACE, STREAM_WINDOW_BYTES } from './constants.ts';
import { FLOOD_LIMITS } from './flood-guard.ts';
import { H2ServerConnection } from './server.ts';

const SETTINGS = frame(FRAME.settings, 0, 0);
const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'];
const POST = [':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'a'];
const END = FLAG.endStream;
const WHOLE = FLAG.endHeaders;

interface Taken {
  readonly stream: ServerStream;
  readonly events: string[];
}

class Receiver implements BodyReceiver, ResponseReceiver {
  readonly events: string[] = [];
  onInformational = (): void => void this.events.push('100');
  onHead = (head: { status: number }, end: boolean): void => void this.events.push(`head ${head.status}${end ? ' end' : ''}`);
  onBody = (_buffer: Buffer, start: number, end: number): void => void this.events.push(`body ${end - start}`);
  onEnd = (trailers: { get(name: string): string | undefined } | undefined): void => void this.events.push(trailers === undefined ? 'end' : `trailers ${trailers.get('x-t')}`);
  onReset = (reason: string): void => void this.events.push(reason);
  onDrain = (): void => void this.events.push('drain');
}

class ServerPlay {
  readonly wire = new FakeConnection();
  readonly taken: Taken[] = [];
  nowMs = 0;
  readonly server: H2ServerConnection;

  constructor(hello: Buffer = Buffer.concat([PREFACE, SETTINGS])) {
    this.server = new H2ServerConnection(this.wire, { ...serverOptions, nowMs: () => this.nowMs }, {
      onRequest: (stream, end) => {
        const receiver = new Receiver();
        if (end) receiver.events.push('request');
        this.taken.push({ stream, events: receiver.events });
        return receiver;
      },
      onCodecError: (stream, error) => stream.sendHead({ status: error.status, headers: new FieldHeaders() }, true),
    }, () => {});
    this.send(hello);
  }

  send(...bytes: Buffer[]): WrittenFrame[] {
    for (const piece of bytes) this.wire.sink.onData(piece, 0, piece.length);
    return this.flushed();
  }

  flushed(): WrittenFrame[] {
    (this.server as unknown as { writer: { flush(): void } }).writer.flush();
    return this.wire.take();
  }
}

const codeOf = (frames: readonly WrittenFrame[], type: number): number | undefined => {
  const found = frames.find((one) => one.type === type);
  return found?.payload.readUInt32BE(type === FRAME.goAway ? 4 : 0);
};
const resetOf = (frames: readonly WrittenFrame[]): number | undefined => codeOf(frames, FRAME.rstStream);
const goAwayOf = (frames: readonly WrittenFrame[]): number | undefined => codeOf(frames, FRAME.goAway);
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
const setting = (id: number, value: number): Buffer => Buffer.concat([Buffer.from([0, id]), uint32(value)]);

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

describe('flow control', () => {
  const dataOf = (frames: readonly WrittenFrame[], streamId: number): number => frames.filter(({ type, streamId: id }) => type === FRAME.data && id === streamId).reduce((sum, { payload }) => sum + payload.length, 0);
  const chunk = Buffer.alloc(16_384);
  /** Sends as much as one stream may have. */
  const fill = (play: ServerPlay, streamId: number): WrittenFrame[] => {
    const frames: WrittenFrame[] = [];
    for (let left = STREAM_WINDOW_BYTES; left > 0; left -= chunk.length) frames.push(...play.send(frame(FRAME.data, 0, streamId, chunk.subarray(0, Math.min(left, chunk.length)))));
    return frames;
  };
  const answer = (play: ServerPlay, index: number, bytes: number): boolean => {
    const { stream } = play.taken[index]!;
    stream.sendHead({ status: 200, headers: new FieldHeaders() }, false);
    return stream.sendBody(Buffer.alloc(bytes), 0, bytes);
  };

  it('gives nothing back of what was not forwarded, and refuses what exceeds the window', () => {
    const play = new ServerPlay();
    play.send(headersFrame(1, POST, false));
    const { stream, events } = play.taken[0]!;
    stream.pauseBody();
    expect(fill(play, 1)).toEqual([]);
    stream.resumeBody();
    const updates = play.flushed();
    expect(updates.map(({ type, streamId, payload }) => [type, streamId, payload.readUInt32BE(0)])).toEqual([[FRAME.windowUpdate, 1, STREAM_WINDOW_BYTES]]);
    stream.pauseBody();
    fill(play, 1);
    expect(resetOf(play.send(frame(FRAME.data, 0, 1, '00')))).toBe(ERROR.flowControl);
    expect(events.at(-1)).toBe('connection termination');
  });

  it('refuses what exceeds the connection window', () => {
    const play = new ServerPlay();
    let frames: WrittenFrame[] = [];
    for (let index = 0; index <= CONNECTION_WINDOW_BYTES / STREAM_WINDOW_BYTES; index++) {
      play.send(headersFrame(1 + index * 2, POST, false));
      play.taken.at(-1)?.stream.pauseBody();
      frames = fill(play, 1 + index * 2);
    }
    expect(goAwayOf(frames)).toBe(ERROR.flowControl);
  });

  it('gives back padding and what comes for streams that are gone', () => {
    const play = new ServerPlay();
    play.send(headersFrame(1, POST, false));
    play.taken[0]!.stream.reset();
    let given = 0;
    for (let sent = 0; sent < CONNECTION_WINDOW_BYTES; sent += chunk.length) for (const { type, streamId, payload } of play.send(frame(FRAME.data, 0, 1, chunk))) if (type === FRAME.windowUpdate && streamId === 0) given += payload.readUInt32BE(0);
    expect(given).toBe(CONNECTION_WINDOW_BYTES);
    const padded = Buffer.concat([Buffer.from([255]), Buffer.alloc(256)]);
    play.send(headersFrame(3, POST, false));
    let updated = 0;
    for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += padded.length) for (const { streamId, payload } of play.send(frame(FRAME.data, FLAG.padded, 3, padded))) if (streamId === 3) updated += payload.readUInt32BE(0);
    expect(updated).toBeGreaterThanOrEqual(STREAM_WINDOW_BYTES / 2);
  });

  it('sends as far as both windows go and tells the source when it may go on', () => {
    const play = new ServerPlay(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, setting(4, 100_000))]));
    play.send(headersFrame(1, GET, true), headersFrame(3, GET, true));
    expect([answer(play, 0, 50_000), answer(play, 1, 50_000)]).toEqual([true, false]);
    const first = play.flushed();
    expect([dataOf(first, 1), dataOf(first, 3)]).toEqual([50_000, 15_535]);
    expect(dataOf(play.send(frame(FRAME.windowUpdate, 0, 0, uint32(30_000))), 3)).toBe(30_000);
    expect(play.taken[1]!.events).not.toContain('drain');
    expect(dataOf(play.send(frame(FRAME.windowUpdate, 0, 0, uint32(30_000))), 3)).toBe(4465);
    expect(play.taken[1]!.events).toContain('drain');
    play.taken[1]!.stream.sendEnd(undefined);
    expect(play.flushed()).toMatchObject([{ type: FRAME.data, flags: END, streamId: 3 }]);
  });

  it('lets a smaller initial window make windows negative', () => {
    const play = new ServerPlay();
    play.send(headersFrame(1, GET, true));
    answer(play, 0, 60_000);
    expect(dataOf(play.flushed(), 1)).toBe(60_000);
    play.send(frame(FRAME.settings, 0, 0, setting(4, 1000)), frame(FRAME.windowUpdate, 0, 0, uint32(100_000)));
    expect(play.taken[0]!.stream.sendBody(Buffer.alloc(10), 0, 10)).toBe(false);
    expect(dataOf(play.send(frame(FRAME.windowUpdate, 0, 1, uint32(58_999))), 1)).toBe(0);
    play.send(frame(FRAME.windowUpdate, 0, 1, uint32(1)));
    expect(dataOf(play.send(frame(FRAME.windowUpdate, 0, 1, uint32(10))), 1)).toBe(10);
  });

  it('queues while the socket is full and goes on in turns', () => {
    const play = new ServerPlay(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, setting(4, 10_000_000)), frame(FRAME.windowUpdate, 0, 0, uint32(10_000_000))]));
    play.send(headersFrame(1, GET, true), headersFrame(3, GET, true));
    play.wire.blocked = true;
    expect([answer(play, 0, 200_000), answer(play, 1, 200_000)]).toEqual([false, false]);
    expect(dataOf(play.flushed(), 1)).toBe(0);
    play.wire.blocked = false;
    play.wire.sink.onDrain();
    const frames = play.flushed().filter(({ type }) => type === FRAME.data);
    expect([dataOf(frames, 1), dataOf(frames, 3)]).toEqual([200_000, 200_000]);
    expect(frames.findIndex(({ streamId }) => streamId === 3)).toBeLessThan(6);
    expect(play.taken.map(({ events }) => events.at(-1))).toEqual(['drain', 'drain']);
  });
});

describe('floods end with ENHANCE_YOUR_CALM', () => {
  const until = (play: ServerPlay, limit: number, next: (index: number) => Buffer): number => {
    for (let index = 0; index < limit; index++) if (goAwayOf(play.send(next(index))) === ERROR.enhanceYourCalm) return index;
    return -1;
  };

  it('rapid reset', () => {
    const play = new ServerPlay();
    const ended = until(play, 1000, (index) => Buffer.concat([headersFrame(1 + index * 2, GET, true), frame(FRAME.rstStream, 0, 1 + index * 2, uint32(ERROR.cancel))]));
    expect(ended).toBe(FLOOD_LIMITS.resets.burst);
    expect(play.wire.closed).toBe(true);
  });

  it('but not resets of streams that are older than a second, nor as many as are answered', () => {
    const play = new ServerPlay();
    expect(until(play, 2000, (index) => {
      play.send(headersFrame(1 + index * 4, GET, true), headersFrame(3 + index * 4, GET, true));
      play.taken.at(-1)!.stream.sendHead({ status: 204, headers: new FieldHeaders() }, true);
      return frame(FRAME.rstStream, 0, 1 + index * 4, uint32(ERROR.cancel));
    })).toBe(-1);
    const slow = new ServerPlay();
    expect(until(slow, 1000, (index) => {
      slow.send(headersFrame(1 + index * 2, GET, true));
      slow.nowMs += 1001;
      return frame(FRAME.rstStream, 0, 1 + index * 2, uint32(ERROR.cancel));
    })).toBe(-1);
  });

  const noise = FLOOD_LIMITS.noise.burst;
  it.each<[string, number, (index: number) => Buffer]>([
    ['PING', noise, () => frame(FRAME.ping, 0, 0, '0000000000000000')],
    ['SETTINGS', noise / FLOOD_LIMITS.expensiveNoise, () => SETTINGS],
    ['PRIORITY', noise, () => frame(FRAME.priority, 0, 1, '0000000000')],
    ['unknown frames', noise, () => frame(77, 0, 0)],
    ['WINDOW_UPDATE', noise, () => frame(FRAME.windowUpdate, 0, 0, '00000001')],
    ['malformed requests', FLOOD_LIMITS.resets.burst, (index) => headersFrame(1 + index * 2, [...GET, 'X', 'y'], true)],
  ])('%s', (_name, burst, next) => {
    const ended = until(new ServerPlay(), burst + 20, next);
    expect(ended).toBeGreaterThan(burst - 20);
  });

  it('a PING rate that a BDP estimator has is no flood', () => {
    const play = new ServerPlay();
    expect(until(play, 20_000, () => {
      play.nowMs += 2.1;
      return frame(FRAME.ping, 0, 0, '0000000000000000');
    })).toBe(-1);
  });

  it('empty DATA', () => {
    const play = new ServerPlay();
    play.send(headersFrame(1, POST, false));
    expect(until(play, noise, () => frame(FRAME.data, 0, 1))).toBeGreaterThan(100);
  });

  it('tiny windows: DATA frames of some bytes each', () => {
    const play = new ServerPlay(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, setting(4, 1))]));
    play.send(headersFrame(1, GET, true));
    play.taken[0]!.stream.sendHead({ status: 200, headers: new FieldHeaders() }, false);
    play.taken[0]!.stream.sendBody(Buffer.alloc(100_000), 0, 100_000);
    expect(until(play, noise + 100, () => frame(FRAME.windowUpdate, 0, 1, uint32(1)))).toBeGreaterThan(noise - 100);
  });

  it('CONTINUATION', () => {
    const play = new ServerPlay();
    play.send(frame(FRAME.headers, END, 1, block(GET)));
    expect(until(play, 100, () => frame(FRAME.continuation, 0, 1))).toBe(MAX_CONTINUATIONS);
  });

  it('answers that are not read', () => {
    const play = new ServerPlay();
    play.wire.blocked = true;
    const ended = until(play, 10_000, (index) => {
      const request = headersFrame(1 + index * 2, GET, true);
      play.send(request);
      play.taken.at(-1)!.stream.sendHead({ status: 200, headers: FieldHeaders.of([['x', 'y'.repeat(2000)]]) }, true);
      return Buffer.alloc(0);
    });
    expect([ended > 1000, ended < 4000, play.wire.closed]).toEqual([true, true, true]);
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
