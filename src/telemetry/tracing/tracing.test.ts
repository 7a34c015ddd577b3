import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { record } from '../testing/record.ts';
import { extractTraceContext, injectTraceContext } from './propagation.ts';
import type { FinishedSpan } from './span.ts';
import { startSpan, type SpanStart, type TracerOptions } from './tracer.ts';
import { encodeZipkin, httpSender, ZipkinExporter } from './zipkin.ts';

const TRACE = '463ac35c9f6413ad48485a3953bb6124';
const SPAN = 'a2fb4a1d1a96d312';
const read = (headers: Record<string, string>) => (name: string) => (Object.hasOwn(headers, name) ? headers[name] : undefined);

describe('extract', () => {
  it.each<[string, Record<string, string>, object | undefined]>([
    ['nothing', {}, undefined],
    ['B3', { 'x-b3-traceid': TRACE.toUpperCase(), 'x-b3-spanid': SPAN, 'x-b3-parentspanid': '0020000000000001', 'x-b3-sampled': '1' }, { traceId: TRACE, spanId: SPAN, parentSpanId: '0020000000000001', sampled: true }],
    ['B3 64 bit, undecided', { 'x-b3-traceid': SPAN, 'x-b3-spanid': SPAN }, { traceId: SPAN, sampled: undefined }],
    ['B3 only a decision', { 'x-b3-sampled': '0' }, { traceId: '', sampled: false }],
    ['B3 debug', { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-flags': '1' }, { sampled: true, debug: true }],
    ['broken B3 is absent', { 'x-b3-traceid': 'xyz', 'x-b3-spanid': SPAN }, undefined],
    ['single', { b3: `${TRACE}-${SPAN}-1-0020000000000001` }, { traceId: TRACE, spanId: SPAN, sampled: true, format: 'b3-single' }],
    ['single deny', { b3: '0' }, { sampled: false }],
    ['W3C', { traceparent: `00-${TRACE}-${SPAN}-01` }, { traceId: TRACE, spanId: SPAN, sampled: true, format: 'w3c' }],
    ['W3C not sampled', { traceparent: `00-${TRACE}-${SPAN}-00` }, { sampled: false }],
    ['W3C zero id', { traceparent: `00-${'0'.repeat(32)}-${SPAN}-01` }, undefined],
    ['W3C version ff', { traceparent: `ff-${TRACE}-${SPAN}-01` }, undefined],
    ['B3 wins over W3C', { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, traceparent: `00-${'1'.repeat(32)}-${SPAN}-01` }, { traceId: TRACE, format: 'b3' }],
  ])('%s', (_, headers, expected) => {
    const found = extractTraceContext(read(headers));
    if (expected) expect(found).toMatchObject(expected);
    else expect(found).toBeUndefined();
  });
});

it('injects what extract reads, in the caller’s format too', () => {
  const out: Record<string, string> = {};
  injectTraceContext((name, value) => (out[name] = value), { traceId: TRACE, spanId: SPAN, parentSpanId: undefined, sampled: true, debug: false, format: 'w3c' });
  expect(out).toEqual({ 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1', traceparent: `00-${TRACE}-${SPAN}-01` });
  expect(extractTraceContext(read(out))).toMatchObject({ traceId: TRACE, spanId: SPAN, sampled: true });
});

it('answers a single B3 header in kind only', () => {
  const out: Record<string, string> = {};
  injectTraceContext((name, value) => (out[name] = value), { traceId: TRACE, spanId: SPAN, parentSpanId: '0020000000000001', sampled: true, debug: false, format: 'b3-single' });
  expect(out).toEqual({ b3: `${TRACE}-${SPAN}-1-0020000000000001` });
});

function options(changes: Partial<TracerOptions> = {}) {
  const spans: FinishedSpan[] = [];
  const all: TracerOptions = { clientPercent: 100, randomPercent: 100, overallPercent: 100, sharedSpans: false, traceId128: true, maxPathLength: 256, customTags: [], nodeId: 'n', service: 'a.b', localIp: '10.0.0.1', random: () => 0.5, report: (span) => void spans.push(span), ...changes };
  return { all, spans };
}

function start(headers: Record<string, string> = {}, changes: Partial<SpanStart> = {}) {
  const written: Record<string, string> = {};
  return { written, start: { direction: 'outbound', startMs: 1000, requestId: headers['x-request-id'] ?? '', authority: 'web:80', sourceAddress: '10.0.0.9:1234', read: read(headers), write: (name, value) => void (written[name] = value), ...changes } satisfies SpanStart };
}

const UUID = '12345678-1234-4234-8234-123456789012';

describe('sampling', () => {
  it.each<[string, Record<string, string>, Partial<TracerOptions>, boolean]>([
    ['by header', { 'x-b3-sampled': '1' }, { randomPercent: 0 }, true],
    ['by header, no', { 'x-b3-sampled': '0' }, {}, false],
    ['by request id', { 'x-request-id': UUID.replace('-4234', '-9234') }, { randomPercent: 0 }, true],
    ['by chance', {}, { randomPercent: 51 }, true],
    ['by chance, no', {}, { randomPercent: 50 }, false],
    ['overall cap', {}, { overallPercent: 50 }, false],
    ['client asks', { 'x-client-trace-id': '1' }, { randomPercent: 0 }, true],
  ])('%s', (_, headers, changes, expected) => expect(startSpan(options(changes).all, start(headers).start).sampled).toBe(expected));

  it('writes the decision into the request id', () => {
    const request = start({ 'x-request-id': UUID });
    startSpan(options().all, request.start);
    expect(request.written).toEqual({ 'x-request-id': UUID.replace('-4234', '-9234') });
  });
});

it.each<[string, Record<string, string>, string]>([
  ['by chance', {}, '9'],
  ['a caller that refuses does not change it', { 'x-b3-sampled': '0' }, '9'],
  ['forced', { 'x-envoy-force-trace': 'true' }, 'a'],
  ['asked for by the client', { 'x-client-trace-id': '1' }, 'b'],
])('the request id tells why it is traced: %s', (_, headers, bit) => {
  const request = start({ 'x-request-id': UUID, ...headers });
  startSpan(options().all, request.start);
  expect(request.written).toEqual({ 'x-request-id': UUID.replace('-4234', `-${bit}234`) });
});

describe('spans', () => {
  it('continue the caller’s trace', () => {
    const { all, spans } = options();
    const span = startSpan(all, start({ 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1' }).start);
    span.setOperation('web.ns:80/*');
    span.finish(record({ responseCode: 503, responseFlags: ['UH'], durationMs: 2.5 }));
    expect(spans[0]).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, kind: 'client', name: 'web.ns:80/*', shared: false, durationMs: 2.5 });
    expect(spans[0]!.spanId).not.toBe(SPAN);
    expect(Object.fromEntries(spans[0]!.tags)).toMatchObject({ component: 'proxy', node_id: 'n', 'guid:x-request-id': 'req-1', 'http.url': 'http://productpage:9080/productpage?u=1', 'http.status_code': '503', response_flags: 'UH', error: 'true', 'upstream_cluster.name': 'outbound|9080||productpage.default.svc.cluster.local', 'peer.address': '10.0.0.9', user_agent: 'curl/8', downstream_cluster: '-', response_size: '4183' });
  });

  it('share the caller’s id on the server side when told', () => {
    const { all, spans } = options({ sharedSpans: true });
    startSpan(all, start({ 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-parentspanid': '0020000000000001' }, { direction: 'inbound' }).start).finish(record());
    expect(spans[0]).toMatchObject({ kind: 'server', spanId: SPAN, parentSpanId: '0020000000000001', shared: true });
  });

  it('are not reported when not sampled, but carry the refusal on', () => {
    const { all, spans } = options();
    const span = startSpan(all, start({ 'x-b3-sampled': '0' }).start);
    const out: Record<string, string> = {};
    span.inject((name, value) => (out[name] = value));
    span.finish(record());
    expect([spans.length, out['x-b3-sampled'], out['x-b3-traceid']?.length]).toEqual([0, '0', 32]);
  });

  it('cut long paths and add custom tags', () => {
    const { all, spans } = options({ maxPathLength: 5, customTags: [{ tag: 'istio.mesh_id', value: () => 'm' }, { tag: 'agent', value: (name) => name('user-agent') }, { tag: 'none', value: () => undefined }] });
    startSpan(all, start().start).finish(record());
    expect(Object.fromEntries(spans[0]!.tags)).toMatchObject({ 'http.url': 'http://productpage:9080/prod', 'istio.mesh_id': 'm', agent: 'curl/8' });
    expect(spans[0]!.tags.has('none')).toBe(false);
  });
});

describe('Zipkin', () => {
  const span = (n: number): FinishedSpan => ({ traceId: TRACE, spanId: String(n).padStart(16, '0'), parentSpanId: SPAN, kind: 'server', name: 'op', startMs: 1.5, durationMs: 0, shared: false, service: 's', localIp: 'fd00::1', tags: new Map([['a', 'b']]) });

  it('encodes version 2', () => {
    expect(JSON.parse(encodeZipkin([span(1)]))).toEqual([{ traceId: TRACE, id: '0000000000000001', parentId: SPAN, kind: 'SERVER', name: 'op', timestamp: 1500, duration: 1, localEndpoint: { serviceName: 's', ipv6: 'fd00::1' }, annotations: [{ timestamp: 1500, value: 'ss' }], tags: { a: 'b' } }]);
  });

  it('sends in batches, bounded, and drops what fails', async () => {
    const clock = new VirtualClock();
    const batches: number[] = [];
    let broken = false;
    const exporter = new ZipkinExporter({ clock, batchSpans: 3, maxSpans: 4, flushMs: 100, send: async (json) => { if (broken) throw new Error('down'); batches.push((JSON.parse(json) as unknown[]).length); } });
    exporter.report(span(1));
    clock.advance(100);
    await Promise.resolve();
    for (let i = 0; i < 3; i++) exporter.report(span(i));
    await new Promise((resolve) => setImmediate(resolve));
    expect(batches).toEqual([1, 3]);
    broken = true;
    exporter.report(span(9));
    await exporter.flush();
    expect([exporter.sent, exporter.dropped]).toEqual([4, 1]);
  });

  it('never holds more than its bound while the collector is slow', () => {
    const exporter = new ZipkinExporter({ clock: new VirtualClock(), batchSpans: 2, maxSpans: 4, send: () => new Promise(() => {}) });
    for (let i = 0; i < 10; i++) exporter.report(span(i));
    expect(exporter.dropped).toBe(4);
  });

  it('posts over HTTP and fails on refusal', async () => {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers['content-type']}`);
      request.resume();
      response.writeHead(seen.length === 1 ? 202 : 500).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const send = httpSender(() => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, path: '/api/v2/spans', authority: 'zipkin' }));
    await send('[]');
    expect(seen).toEqual(['POST /api/v2/spans zipkin application/json']);
    await expect(send('[]')).rejects.toThrow('collector answered 500');
    await expect(httpSender(() => undefined)('[]')).rejects.toThrow('no collector');
    server.close();
  });
});
