/** The gRPC health check of a probe, without TLS as the kubelet does it. @see https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
import http2 from 'node:http2';
import type { ProbeResult } from './pod.ts';

const SERVING = 1;
const FIELD_1_STRING = 0x0a;
const FIELD_1_VARINT = 0x08;
const MAX_RESPONSE_BYTES = 4096;

/** Calls `grpc.health.v1.Health/Check`; anything but SERVING is a failure. Never throws. */
export function checkGrpcHealth(host: string, port: number, service: string, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const session = http2.connect(`http://${host}:${port}`);
    const end = (result: ProbeResult) => {
      clearTimeout(timer);
      session.destroy();
      resolve(result);
    };
    const fail = (message: string) => end({ ok: false, message });
    const timer = setTimeout(() => fail(`timeout: failed to connect service "${host}:${port}" within ${timeoutMs / 1000}s: context deadline exceeded`), timeoutMs);
    session.on('error', (error) => fail(`failed to connect service "${host}:${port}": ${error.message}`));
    const stream = session.request({ ':method': 'POST', ':path': '/grpc.health.v1.Health/Check', 'content-type': 'application/grpc', te: 'trailers', 'user-agent': 'kube-probe/1.32' });
    let body = Buffer.alloc(0);
    let status: string | undefined;
    stream.on('response', (headers) => (status = headers['grpc-status'] as string | undefined));
    stream.on('trailers', (trailers) => (status = (trailers['grpc-status'] as string | undefined) ?? status));
    stream.on('data', (chunk: Buffer) => (body.length < MAX_RESPONSE_BYTES ? (body = Buffer.concat([body, chunk])) : undefined));
    stream.on('error', (error) => fail(error.message));
    stream.on('end', () => setImmediate(() => {
      if (status !== '0') fail(status === '12' ? 'this server does not implement the grpc health protocol (grpc.health.v1.Health)' : `health rpc failed: gRPC status ${status ?? 'missing'}`);
      // Five bytes of gRPC framing, then `status` as field 1; an absent field is UNKNOWN.
      else if (body[5] === FIELD_1_VARINT && body[6] === SERVING) end({ ok: true });
      else fail(`service unhealthy (responded with "${['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'][body[6] ?? 0] ?? 'UNKNOWN'}")`);
    }));
    stream.end(frame(service));
  });
}

/** HealthCheckRequest with `service` as field 1. */
function frame(service: string): Buffer {
  const name = Buffer.from(service).subarray(0, 127);
  const message = name.length > 0 ? Buffer.concat([Buffer.of(FIELD_1_STRING, name.length), name]) : Buffer.alloc(0);
  return Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]);
}
