// ext-authz: an external authorizer that allows requests with the header `x-ext-authz: allow`, and connections and requests of the service accounts named by
// --allow_service_accounts. HTTP on port 8000, gRPC (envoy.service.auth.v3) on port 9000.
import { createServer } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { CheckRequestSchema, CheckResponseSchema, type CheckRequest, type CheckResponse } from '../../../src/xds/gen/envoy/service/auth/v3/external_auth_pb.ts';

const HEADER = 'x-ext-authz';
const RESULT = 'x-ext-authz-check-result';
const RECEIVED = 'x-ext-authz-check-received';
const OVERRIDE = 'x-ext-authz-additional-header-override';
const DENIED = `denied by ext_authz for not found header \`${HEADER}: allow\` in the request`;
const PATH = '/envoy.service.auth.v3.Authorization/Check';
const MAX_BYTES = 1024 * 1024;

const argument = (name: string, fallback: string): string => process.argv.find((text) => text.startsWith(`--${name}=`))?.slice(name.length + 3) ?? process.env[name.toUpperCase()] ?? fallback;
const accounts = new Set(argument('allow_service_accounts', '').split(',').filter(Boolean));

createServer((request, response) => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) request.destroy();
    else chunks.push(chunk);
  });
  request.on('end', () => {
    const allowed = request.headers[HEADER] === 'allow';
    const seen = `${request.method} ${request.headers.host ?? ''}${request.url}, headers: ${JSON.stringify(request.headers)}, body: [${Buffer.concat(chunks).toString('utf8')}]`;
    console.log(`[HTTP][${allowed ? 'allowed' : ' denied'}]: ${seen}`);
    response.setHeader(RESULT, allowed ? 'allowed' : 'denied');
    response.setHeader(OVERRIDE, String(request.headers[OVERRIDE] ?? ''));
    // Everything of a request that does not belong into a header value is taken out.
    response.setHeader(RECEIVED, seen.replace(/[^\x20-\x7e]/g, ' ').slice(0, 4096));
    response.writeHead(allowed ? 200 : 403).end(allowed ? undefined : DENIED);
  });
}).listen(Number(argument('http', '8000')), () => console.log('Starting HTTP server'));

const grpc = createHttp2Server();
grpc.on('stream', (stream: ServerHttp2Stream, headers) => {
  const chunks: Buffer[] = [];
  stream.on('error', () => stream.destroy());
  stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
  stream.on('end', () => {
    const message = headers[':path'] === PATH ? decode(Buffer.concat(chunks)) : undefined;
    if (message === undefined) return stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': headers[':path'] === PATH ? '3' : '12' }, { endStream: true });
    const answer = toBinary(CheckResponseSchema, check(message));
    const frame = Buffer.alloc(5 + answer.length);
    frame.writeUInt32BE(answer.length, 1);
    frame.set(answer, 5);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(frame);
  });
});
grpc.listen(Number(argument('grpc', '9000')), () => console.log('Starting gRPC server'));

function decode(body: Buffer): CheckRequest | undefined {
  if (body.length < 5 || body[0] !== 0 || body.length > MAX_BYTES || body.readUInt32BE(1) !== body.length - 5) return undefined;
  try {
    return fromBinary(CheckRequestSchema, body.subarray(5));
  } catch {
    return undefined;
  }
}

function check({ attributes }: CheckRequest): CheckResponse {
  const http = attributes?.request?.http;
  const principal = attributes?.source?.principal ?? '';
  const headers = new Map(Object.entries(http?.headers ?? {}));
  const allowed = headers.get(HEADER) === 'allow' || accounts.has(principal.split('/sa/')[1] ?? '');
  const seen = JSON.stringify({ principal, method: http?.method, host: http?.host, path: http?.path, headers: http?.headers, body: http?.body });
  console.log(`[gRPCv3][${allowed ? 'allowed' : ' denied'}]: ${seen}`);
  const header = (key: string, value: string) => ({ header: { key, value }, append: false });
  const said = [header(RESULT, allowed ? 'allowed' : 'denied'), header(RECEIVED, seen.slice(0, 4096)), header(OVERRIDE, 'grpc-additional-header-override-value')];
  return create(CheckResponseSchema, allowed
    ? { status: { code: 0 }, httpResponse: { case: 'okResponse', value: { headers: said } } }
    : { status: { code: 7 }, httpResponse: { case: 'deniedResponse', value: { status: { code: 403 }, body: DENIED, headers: said } } });
}
