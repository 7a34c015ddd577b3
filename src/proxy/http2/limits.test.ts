/** Playbooks of flow control and of floods. */
import { describe, expect, it } from 'vitest';
import { FieldHeaders } from '../http/field-headers.ts';
import { END, GET, POST, SETTINGS, ServerPlay, goAwayOf, resetOf, setting, uint32 } from '../testing/http2-play.ts';
import { block, frame, headersFrame } from '../testing/http2.ts';
import type { WrittenFrame } from '../testing/http2.ts';
import { CONNECTION_WINDOW_BYTES, ERROR, FLAG, FRAME, MAX_CONTINUATIONS, PREFACE, STREAM_WINDOW_BYTES } from './constants.ts';
import { FLOOD_LIMITS } from './flood-guard.ts';

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
