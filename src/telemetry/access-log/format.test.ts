import { describe, expect, it } from 'vitest';
import { record } from '../testing/record.ts';
import { compileFormat, compileJsonFormat } from './format.ts';
import { ISTIO_TEXT_FORMAT } from './default-format.ts';

const environment = { hostname: 'pod-1', variable: (name: string) => (name === 'HOME' ? '/root' : undefined) };

describe('compileFormat', () => {
  it.each([
    ['plain 100%%', 'plain 100%'],
    ['%PROTOCOL% %RESPONSE_CODE%', 'HTTP/1.1 200'],
    ['%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%', 'GET /productpage?u=1'],
    ['%REQ(X-Missing)%', '-'],
    ['%REQ(USER-AGENT):4%', 'curl'],
    ['%REQ_WITHOUT_QUERY(:PATH)%', '/productpage'],
    ['%RESP(content-type)%', 'text/html'],
    ['%TRAILER(grpc-status)%', '-'],
    ['%START_TIME%', '2023-11-14T22:13:20.042Z'],
    ['%START_TIME(%s.%3f)%', '1700000000.042'],
    ['%START_TIME(%Y/%m/%dT%H:%M:%S%z %j %6f)%', '2023/11/14T22:13:20+0000 318 042000'],
    ['%DURATION%|%REQUEST_DURATION%|%RESPONSE_DURATION%', '12|-|9'],
    ['%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%', 'UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded'],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%', '10.0.0.9 4242 10.0.0.9:4242'],
    ['%HOSTNAME% %ENVIRONMENT(HOME)% %ENVIRONMENT(NO)%', 'pod-1 /root -'],
    ['%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%', 'DeadlineExceeded DEADLINE_EXCEEDED 4'],
    ['%DYNAMIC_METADATA(istio.mixer:k)%', '-'],
  ])('%s → %s', (format, expected) => {
    const known = record({ responseFlags: ['UF', 'URX'], grpcStatus: '4', responseDurationMs: 9 });
    expect(compileFormat(format, { environment }).write(known)).toBe(expected);
  });

  it.each([
    ['%NOPE%', /unknown access log operator %NOPE%/],
    ['%REQ()%', /needs one header name/],
    ['%REQ(a?b?c)%', /needs one header name/],
    ['100% sure', /bad operator at position 3/],
    ['%START_TIME(%Q)%', /unknown time specifier %Q/],
  ])('refuses %s', (format, message) => expect(() => compileFormat(format)).toThrow(message));

  it('writes Istio’s default line', () => {
    const line = compileFormat(ISTIO_TEXT_FORMAT).write(record({ durationMs: 12.7 }));
    expect(line).toBe(
      '[2023-11-14T22:13:20.042Z] "GET /productpage?u=1 HTTP/1.1" 200 - via_upstream - "-" 0 4183 12 11 "-" "curl/8" "req-1" "productpage:9080" "10.244.0.7:9080" ' +
        'outbound|9080||productpage.default.svc.cluster.local 10.244.0.5:51000 10.96.3.3:9080 10.0.0.9:4242 - default\n',
    );
  });

  it('leaves unknown values out of header values and keeps literals as literals', () => {
    expect(compileFormat('%%', { missing: '' }).literal).toBe('%');
    expect(compileFormat('a%UPSTREAM_HOST%b', { missing: '' }).write({})).toBe('ab');
  });
});

describe('compileJsonFormat', () => {
  it('keeps key order, types and nulls', () => {
    const format = compileJsonFormat({ z: '%RESPONSE_CODE%', a: '%REQ(x-no)%', nested: { m: '%REQ(:METHOD)% x %REQ(x-no)%' }, list: ['%BYTES_SENT%', 1, true], n: null, s: 'q"' });
    expect(format.write(record())).toBe('{"z":200,"a":null,"nested":{"m":"GET x -"},"list":[4183,1,true],"n":null,"s":"q\\""}\n');
  });
});
