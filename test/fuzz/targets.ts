/** What reads bytes from strangers, each with inputs to start from. */
import { decode, encode } from 'dns-packet';
import { NameTableIndex } from '../../src/agent/dns/name-table.ts';
import { ApiError } from '../../src/kube/client/client.ts';
import { parseBody } from '../../src/kube/server/http/body.ts';
import { WebResponse, WebTextRequest } from '../../src/proxy/filters/envoy.filters.http.grpc_web/messages.ts';
import { parseToken, TokenProblem } from '../../src/proxy/filters/envoy.filters.http.jwt_authn/token.ts';
import { ChunkDecoder } from '../../src/proxy/http/chunked.ts';
import { FieldHeaders } from '../../src/proxy/http/field-headers.ts';
import { H1Headers } from '../../src/proxy/http/h1-headers.ts';
import { HeadOffsets, PARSE, parseRequestHead, parseResponseHead } from '../../src/proxy/http/h1-parser.ts';
import { splitTarget } from '../../src/proxy/http/h1-target.ts';
import { PREFACE } from '../../src/proxy/http2/constants.ts';
import { HpackDecoder } from '../../src/proxy/http2/hpack-decoder.ts';
import { H2ServerConnection } from '../../src/proxy/http2/server.ts';
import { parseClientHello } from '../../src/proxy/listener/client-hello.ts';
import { inspectHttp } from '../../src/proxy/listener/http-inspector.ts';
import { encodeProxyHeader, readProxyHeader } from '../../src/proxy/router/proxy-header.ts';
import { block, FakeConnection, frame, headersFrame, serverOptions } from '../../src/proxy/testing/http2.ts';
import { decodeRequest, decodeResponse, encodeRequest, reportRequest } from '../../src/xds/wire.ts';
import type { FuzzTarget } from './engine.ts';

const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const LIMITS = { maxBytes: 61_440, maxHeaders: 100 };
const CLIENT_HELLO = Buffer.from('160301006c01000068030300000000000000000000000000000000000000000000000000000000000000000000021301010000' + '3d0000000e000c0000096c6f63616c686f7374001000130011086874', 'hex');

/** An error of this kind is a refusal; anything else goes on. */
function refusing(kinds: readonly (abstract new (...args: never[]) => Error)[], action: () => void): void {
  try {
    action();
  } catch (thrown) {
    if (!kinds.some((kind) => thrown instanceof kind)) throw thrown;
  }
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

const h1: FuzzTarget = {
  name: 'h1',
  seeds: [
    text('GET /a?b=c HTTP/1.1\r\nhost: a:80\r\nx-a: b\r\n\r\n'), text('POST http://a/b HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\nConnection: close, x-a\r\n\r\n'), text('CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n'),
    text('HTTP/1.1 200 OK\r\ncontent-length: 3\r\nset-cookie: a=b\r\n\r\nabc'), text('OPTIONS * HTTP/1.0\r\n\r\n'),
  ],
  run(bytes) {
    for (const parse of [parseRequestHead, parseResponseHead]) {
      const head = new HeadOffsets();
      if (parse(bytes, 0, bytes.length, head, LIMITS) !== PARSE.complete) continue;
      must(head.end <= bytes.length, 'the head is longer than what was read');
      const headers = new H1Headers();
      headers.load(bytes, head, head.fieldsStart);
      for (const [name, value] of headers.entries()) must(!/[\r\n\0]/.test(name + value), 'a header with a line in it');
      const target = splitTarget('GET', bytes.toString('latin1', 0, Math.min(bytes.length, 200)).split(' ')[1] ?? '', headers.get('host') ?? '');
      must(target === undefined || !/[\s/@]/.test(target.authority), 'an authority that is none');
    }
  },
};

const chunks: FuzzTarget = {
  name: 'chunks',
  seeds: [text('3\r\nabc\r\n0\r\n\r\n'), text('a;b=c\r\n0123456789\r\n0\r\nx: y\r\n\r\nGET'), text('0\r\n\r\n')],
  run(bytes) {
    const decoder = new ChunkDecoder();
    for (let at = 0, steps = 0; at < bytes.length && !decoder.done; steps++) {
      must(steps <= 2 * bytes.length + 8, 'no progress');
      at = decoder.step(bytes, at, bytes.length);
      if (at < 0) return;
      must(at <= bytes.length && decoder.dataEnd <= bytes.length, 'beyond the end');
    }
  },
};

const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'];
const h2: FuzzTarget = {
  name: 'h2',
  seeds: [
    Buffer.concat([frame(4, 0, 0), headersFrame(1, GET, true)]), Buffer.concat([frame(4, 0, 0), headersFrame(1, GET, false), frame(0, 1, 1, Buffer.alloc(100)), frame(8, 0, 0, Buffer.from([0, 0, 1, 0]))]),
    Buffer.concat([frame(4, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255])), frame(6, 0, 0, Buffer.alloc(8)), headersFrame(1, GET, false), frame(3, 0, 1, Buffer.from([0, 0, 0, 8])), frame(7, 0, 0, Buffer.alloc(8))]),
  ],
  run(bytes) {
    const wire = new FakeConnection();
    const nothing = { onBody: () => {}, onEnd: () => {}, onReset: () => {}, onDrain: () => {} };
    const server = new H2ServerConnection(wire, serverOptions, {
      onRequest: (stream, end) => {
        if (end) stream.sendHead({ status: 200, headers: FieldHeaders.of([['x', 'y']]) }, true);
        return nothing;
      },
      onCodecError: (stream) => stream.sendHead({ status: 431, headers: new FieldHeaders() }, true),
    }, () => {});
    const whole = Buffer.concat([PREFACE, bytes]);
    wire.sink.onData(whole, 0, whole.length);
    wire.finish(undefined);
    must(server.activeStreams === 0, 'streams are left');
  },
};

const hpack: FuzzTarget = {
  name: 'hpack',
  seeds: [block(GET), block([':status', '200', 'x-a', 'b'.repeat(300), 'cookie', 'a=b'])],
  run(bytes) {
    const decoder = new HpackDecoder();
    decoder.decode(bytes, 0, bytes.length, { maxBytes: 61_440, maxFields: 104 });
    must(decoder.table.bytes <= 4096, 'the table is too large');
  },
};

const xds: FuzzTarget = {
  name: 'xds',
  seeds: [encodeRequest('sotw', reportRequest('type.googleapis.com/envoy.config.cluster.v3.Cluster', undefined)), encodeRequest('delta', reportRequest('type.googleapis.com/envoy.config.listener.v3.Listener', 'no'))],
  run(bytes) {
    for (const mode of ['sotw', 'delta'] as const) {
      // Whatever the decoder of protobuf refuses ends the stream that it came on.
      refusing([Error], () => void decodeRequest(mode, bytes));
      refusing([Error], () => void decodeResponse(mode, bytes, () => 'a'));
    }
  },
};

const tls: FuzzTarget = {
  name: 'tls',
  seeds: [CLIENT_HELLO],
  run(bytes) {
    const hello = parseClientHello(bytes);
    must(typeof hello === 'string' || hello.serverName.length <= bytes.length, 'a name longer than the hello');
  },
};

const http: FuzzTarget = { name: 'http-inspector', seeds: [text('GET / HTTP/1.1\r\n'), PREFACE, text('PUT /x HTTP/1.0\r\n\r\n')], run: (bytes) => void inspectHttp(bytes) };

const ADDRESSES = { sourceAddress: '10.0.0.1', sourcePort: 1, destinationAddress: '10.0.0.2', destinationPort: 2 };
const proxyProtocol: FuzzTarget = {
  name: 'proxy-protocol',
  seeds: [encodeProxyHeader('V1', ADDRESSES), encodeProxyHeader('V2', ADDRESSES), encodeProxyHeader('V2', { ...ADDRESSES, sourceAddress: 'fd00::1', destinationAddress: 'fd00::2' }), encodeProxyHeader('V1', undefined), encodeProxyHeader('V2', undefined)],
  run(bytes) {
    const read = readProxyHeader(bytes);
    must(read.kind !== 'header' || read.bytes <= bytes.length, 'a header longer than what was read');
  },
};

const grpcWeb: FuzzTarget = {
  name: 'grpc-web',
  seeds: [text('AAAAAAVoZWxsbw=='), Buffer.from([0, 0, 0, 0, 5, 104, 101, 108, 108, 111]), Buffer.from([0x80, 0, 0, 0, 3, 97, 58, 98])],
  run(bytes) {
    let given = 0;
    const exit = { body: (part: Buffer) => void (given += part.length), end: () => {} };
    const request = new WebTextRequest(exit, () => {});
    const half = bytes.length >> 1;
    for (const piece of [bytes.subarray(0, half), bytes.subarray(half)]) request.push(piece);
    request.end(undefined);
    must(given <= bytes.length, 'more came out than went in');
    for (const base64 of [true, false]) {
      const response = new WebResponse(exit, base64);
      for (const piece of [bytes.subarray(0, half), bytes.subarray(half)]) response.push(piece);
      response.end(FieldHeaders.of([['grpc-status', '0']]));
    }
  },
};

const api = (name: string, mediaType: string, seeds: readonly Uint8Array[]): FuzzTarget => ({
  name, seeds,
  async run(bytes) {
    try {
      await parseBody(bytes, mediaType);
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
    }
    must(Object.keys(Object.prototype).length === 0, 'Object.prototype was changed');
  },
});
const POD = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"app":"a"}},"spec":{"containers":[{"name":"a","image":"a","ports":[{"containerPort":80}]}]}}';
const YAML = 'apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: &l {app: a}}\nspec:\n  <<: *l\n  text: |\n    a\n    b\n  list: [1, 2.5, true, null, "x"]\n';
/** A ConfigMap in Kubernetes' protobuf envelope. */
const PROTOBUF = Buffer.concat([text('k8s\0'), Buffer.from('0a0f0a02763112094e616d657370616365120f0a0b0a0161120022002a00320038001200', 'hex')]);

const dns: FuzzTarget = {
  name: 'dns',
  seeds: [encode({ type: 'query', id: 7, flags: 256, questions: [{ name: 'reviews.default.svc.cluster.local', type: 'A' }] }), encode({ type: 'response', id: 7, questions: [{ name: 'a.b', type: 'AAAA' }], answers: [{ type: 'CNAME', name: 'a.b', data: 'c.d', ttl: 1 }] })],
  run(bytes) {
    // The server answers nothing to what cannot be read.
    refusing([Error], () => {
      const packet = decode(bytes);
      const name = packet.questions?.[0]?.name;
      if (name !== undefined) names.lookup(name);
    });
  },
};
const names = new NameTableIndex(new Map(), 'default', ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local']);

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt: FuzzTarget = {
  name: 'jwt',
  seeds: [text(`${part({ alg: 'RS256', kid: 'a' })}.${part({ iss: 'a', sub: 'b', aud: ['c'], exp: 4_102_444_800 })}.AAAA`)],
  run: (bytes) => refusing([TokenProblem], () => void parseToken(bytes.toString('latin1'))),
};

/** All of them. */
export const TARGETS: readonly FuzzTarget[] = [
  h1, chunks, h2, hpack, xds, tls, http, proxyProtocol, grpcWeb, api('api-json', 'application/json', [text(POD), text('[1,{"__proto__":{"a":1}}]')]), api('api-yaml', 'application/yaml', [text(YAML), text('a: &a [x]\nb: [*a, *a]\n')]),
  api('api-protobuf', 'application/vnd.kubernetes.protobuf', [PROTOBUF]), dns, jwt,
];
