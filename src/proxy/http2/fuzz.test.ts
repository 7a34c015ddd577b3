/** Whatever bytes come: no throw beyond the connection, no memory that grows, and the codec either goes on or says GOAWAY. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FieldHeaders } from '../http/field-headers.ts';
import { FakeConnection, block, frame, headersFrame, requestHead, serverOptions } from '../testing/http2.ts';
import { H2ClientConnection } from './client.ts';
import { FLAG, FRAME, PREFACE } from './constants.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { H2ServerConnection } from './server.ts';

const limits = { maxBytes: 61_440, maxFields: 104 };
const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'];
const nothing = { onBody: () => {}, onEnd: () => {}, onReset: () => {}, onDrain: () => {}, onHead: () => {}, onInformational: () => {} };

const someFrame = fc.oneof(
  fc.tuple(fc.integer({ min: 0, max: 11 }), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 9 }), fc.uint8Array({ maxLength: 40 })).map(([type, flags, id, payload]) => frame(type, flags, id, Buffer.from(payload))),
  fc.integer({ min: 0, max: 9 }).map((id) => headersFrame(id * 2 + 1, GET, true)),
  fc.integer({ min: 0, max: 9 }).map((id) => headersFrame(id * 2 + 1, GET, false)),
  fc.integer({ min: 0, max: 9 }).map((id) => frame(FRAME.data, FLAG.endStream, id * 2 + 1, Buffer.alloc(100))),
);
/** Frames, some of their bytes changed, in pieces. */
const traffic = fc.tuple(fc.array(someFrame, { maxLength: 20 }), fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }), fc.integer({ min: 1, max: 200 })).map(([frames, changes, piece]) => {
  const bytes = Buffer.concat([frame(FRAME.settings, 0, 0), ...frames]);
  for (const [at, value] of changes) bytes[at % bytes.length] = value;
  return { bytes, piece };
});

function feed(wire: FakeConnection, bytes: Buffer, piece: number): void {
  for (let at = 0; at < bytes.length; at += piece) wire.sink.onData(bytes, at, Math.min(bytes.length, at + piece));
}

describe('fuzz', () => {
  it('server', () => {
    fc.assert(fc.property(traffic, ({ bytes, piece }) => {
      const wire = new FakeConnection();
      const server = new H2ServerConnection(wire, serverOptions, {
        onRequest: (stream, end) => {
          if (end) stream.sendHead({ status: 200, headers: FieldHeaders.of([['x', 'y']]) }, true);
          return nothing;
        },
        onCodecError: (stream) => stream.sendHead({ status: 431, headers: new FieldHeaders() }, true),
      }, () => {});
      feed(wire, Buffer.concat([PREFACE, bytes]), piece);
      wire.finish(undefined);
      expect(server.activeStreams).toBe(0);
    }), { numRuns: 1500 });
  });

  it('client', () => {
    fc.assert(fc.property(traffic, ({ bytes, piece }) => {
      const wire = new FakeConnection();
      const client = new H2ClientConnection(wire, { onCapacity: () => {}, onClosed: () => {} });
      for (let index = 0; index < 5; index++) client.start(requestHead(), index % 2 === 0, nothing);
      feed(wire, bytes, piece);
      wire.finish(undefined);
      expect([client.activeStreams, client.usable]).toEqual([0, false]);
    }), { numRuns: 1500 });
  });

  it('HPACK decoder', () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (blocks) => {
      const decoder = new HpackDecoder();
      for (const bytes of blocks) {
        if (decoder.decode(Buffer.from(bytes), 0, bytes.length, limits) === undefined) break;
        expect(decoder.table.bytes).toBeLessThanOrEqual(4096);
      }
    }), { numRuns: 3000 });
  });

  it('HPACK round trip with resizes', () => {
    const text = fc.array(fc.integer({ min: 33, max: 255 }), { maxLength: 60 }).map((codes) => String.fromCharCode(...codes));
    const name = fc.constantFrom(':path', 'content-type', 'x-a', 'x-b', 'cookie', 'authorization', 'date', 'x-long');
    const step = fc.oneof(fc.record({ fields: fc.array(fc.tuple(name, fc.oneof(text, fc.constantFrom('a', 'b', 'y'.repeat(900)), fc.constant('latin ⁂ not'))), { maxLength: 12 }) }), fc.record({ size: fc.integer({ min: 0, max: 5000 }) }));
    fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      const target = Buffer.alloc(50_000);
      for (const one of steps) {
        if ('size' in one) {
          encoder.resize(one.size);
          continue;
        }
        encoder.begin(target, 0);
        for (const [key, value] of one.fields) encoder.field(key, value, false);
        const decoded = decoder.decode(target, 0, encoder.finish(), limits)!;
        expect(decoded.fields).toEqual(one.fields.flatMap(([key, value]) => [key, value.includes('⁂') ? Buffer.from(value).toString('latin1') : value]));
      }
    }), { numRuns: 500 });
  });

  it('a bomb of references to one large entry is not built', () => {
    const decoder = new HpackDecoder();
    const large = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x1e]), Buffer.alloc(4000, 0x79), Buffer.alloc(60_000, 0xbe)]);
    const decoded = decoder.decode(large, 0, large.length, limits)!;
    expect([decoded.tooLarge, decoded.fields.length < 60]).toEqual([true, true]);
    expect(decoder.decode(block(GET), 0, block(GET).length, limits)!.fields).toEqual(GET);
  });
});
