import { connect, type IncomingHttpHeaders } from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { GrpcChannel, type GrpcError } from '../client/grpc-channel.ts';
import { GRPC_STATUS, GrpcServer, type CallHandler, type ServerCall } from './grpc-server.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

async function serve(handler: (call: ServerCall) => CallHandler): Promise<number> {
  const server = new GrpcServer(new Map([['/test.Test/Call', handler]]));
  open.push(server);
  return server.listen('127.0.0.1:0');
}

const echo = (call: ServerCall): CallHandler => ({ onMessage: (message) => void call.send(message), onFinish: () => call.end(GRPC_STATUS.ok), onClose: () => {} });

/** One raw HTTP/2 exchange: head and trailers. */
async function raw(port: number, headers: Record<string, string>, body: Buffer): Promise<IncomingHttpHeaders> {
  const session = connect(`http://127.0.0.1:${port}`);
  open.push({ close: () => session.destroy() });
  const stream = session.request({ ':path': '/test.Test/Call', ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers', ...headers });
  const seen: IncomingHttpHeaders = {};
  stream.on('response', (head) => Object.assign(seen, head)).on('trailers', (trailers) => Object.assign(seen, trailers)).on('error', () => {}).resume();
  stream.end(body);
  await new Promise((resolve) => stream.on('close', resolve));
  return seen;
}

describe('GrpcServer', () => {
  it('carries messages of any size both ways, split as they come', async () => {
    const channel = new GrpcChannel({ target: { host: '127.0.0.1', port: await serve(echo) } });
    open.push(channel);
    const sizes = [0, 1, 5, 70_000, 3_000_000];
    const received: number[] = [];
    const end = new Promise<GrpcError | undefined>((resolve) => {
      const call = channel.call('/test.Test/Call', {}, { onMessage: (message) => received.push(message.length), onEnd: resolve });
      for (const size of sizes) call.send(Buffer.alloc(size, 7));
      call.finish();
    });
    expect(await end).toBeUndefined();
    expect(received).toEqual(sizes);
  });

  it.each([
    ['an unknown method', { ':path': '/test.Test/Other' }, Buffer.alloc(0), { 'grpc-status': '12' }],
    ['another HTTP method', { ':method': 'GET' }, Buffer.alloc(0), { ':status': 415 }],
    ['another content type', { 'content-type': 'text/html' }, Buffer.alloc(0), { ':status': 415 }],
    ['a compressed message', {}, Buffer.from([1, 0, 0, 0, 1, 65]), { 'grpc-status': '8' }],
    ['a message over 4 MiB', {}, Buffer.from([0, 0, 64, 0, 1]), { 'grpc-status': '8' }],
  ])('refuses %s', async (_, headers, body, expected) => {
    expect(await raw(await serve(echo), headers, body)).toMatchObject(expected);
  });

  it('tells the status and its text, whatever is in it', async () => {
    const channel = new GrpcChannel({ target: { host: '127.0.0.1', port: await serve((call) => ({ onMessage: () => call.end(GRPC_STATUS.permissionDenied, 'nein: ä\n%'), onFinish: () => {}, onClose: () => {} })) } });
    open.push(channel);
    await expect(channel.unary('/test.Test/Call', Buffer.from('x'))).rejects.toMatchObject({ code: 7, details: 'nein: ä\n%' });
  });

  it('says when the caller is gone', async () => {
    let closed = 0;
    const port = await serve((call) => ({ onMessage: (message) => void call.send(message), onFinish: () => {}, onClose: () => closed++ }));
    const channel = new GrpcChannel({ target: { host: '127.0.0.1', port } });
    await new Promise<void>((resolve) => {
      const call = channel.call('/test.Test/Call', {}, { onMessage: () => resolve(), onEnd: () => {} });
      call.send(Buffer.from('x'));
    });
    channel.close();
    for (let i = 0; i < 200 && closed === 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(closed).toBe(1);
  });
});
