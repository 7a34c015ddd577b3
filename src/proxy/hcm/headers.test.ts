import { describe, expect, it } from 'vitest';
import type { HcmRuntime } from '../config/runtime.ts';
import type { Connection, TlsFacts } from '../io/connection.ts';
import { head } from '../testing/head.ts';
import { localResponse } from './local-reply.ts';
import { normalizeRequestPath } from './path.ts';
import { newRequestId } from './request-id.ts';
import { peerOf, receiveRequestHeaders } from './request-headers.ts';
import { applyXfcc } from './xfcc.ts';

const tls: TlsFacts = {
  alpn: 'istio-http/1.1', serverName: '', version: 'TLSv1.3', localUriSan: 'spiffe://td/ns/b/sa/server',
  peer: { uriSans: ['spiffe://td/ns/a/sa/client'], dnsSans: ['a.b', 'c.d'], subject: 'CN=x,O="y"', sha256: 'ab'.repeat(32), pem: () => 'PEM' },
};
const connection = (secure = false): Connection => ({ remoteAddress: '192.168.1.9', remotePort: 5555, tls: secure ? tls : undefined }) as Connection;
const hcm = (options: Partial<HcmRuntime> = {}): HcmRuntime => ({ useRemoteAddress: false, xffTrustedHops: 0, skipXffAppend: false, xfcc: 'SANITIZE', xfccDetails: { subject: true, cert: false, chain: false, dns: true, uri: true }, generateRequestId: true, preserveExternalRequestId: false, ...options }) as HcmRuntime;

describe('x-forwarded-client-cert', () => {
  const element = `By=spiffe://td/ns/b/sa/server;Hash=${'ab'.repeat(32)};Subject="CN=x,O=\\"y\\"";URI=spiffe://td/ns/a/sa/client;DNS=a.b;DNS=c.d`;
  it.each([
    ['SANITIZE', true, undefined], ['SANITIZE', false, undefined], ['FORWARD_ONLY', true, 'By=before'], ['FORWARD_ONLY', false, undefined], ['APPEND_FORWARD', true, `By=before,${element}`], ['APPEND_FORWARD', false, undefined],
    ['SANITIZE_SET', true, element], ['SANITIZE_SET', false, undefined], ['ALWAYS_FORWARD_ONLY', false, 'By=before'],
  ] as const)('%s, mutual TLS %s', (mode, mutual, expected) => {
    const { headers } = head({ headers: { 'x-forwarded-client-cert': 'By=before' } });
    applyXfcc(headers, mode, hcm().xfccDetails, mutual ? tls : undefined);
    expect(headers.get('x-forwarded-client-cert')).toBe(expected);
  });
});

describe('receiveRequestHeaders', () => {
  it.each([
    ['sidecar leaves x-forwarded-for', {}, { 'x-forwarded-for': '1.1.1.1' }, { ip: '1.1.1.1', xff: '1.1.1.1', proto: 'http', external: undefined }],
    ['sidecar without it', {}, {}, { ip: '192.168.1.9', xff: undefined, proto: 'http', external: undefined }],
    ['edge appends the peer', { useRemoteAddress: true }, { 'x-forwarded-for': '1.1.1.1', 'x-forwarded-proto': 'https' }, { ip: '192.168.1.9', xff: '1.1.1.1,192.168.1.9', proto: 'http', external: '192.168.1.9' }],
    ['edge behind one proxy', { useRemoteAddress: true, xffTrustedHops: 1 }, { 'x-forwarded-for': '9.9.9.9, 1.1.1.1', 'x-forwarded-proto': 'https' }, { ip: '1.1.1.1', xff: '9.9.9.9, 1.1.1.1,192.168.1.9', proto: 'https', external: '1.1.1.1' }],
    ['a lie in it is no address', {}, { 'x-forwarded-for': 'evil"' }, { ip: '192.168.1.9', xff: 'evil"', proto: 'http', external: undefined }],
  ])('%s', (_name, options, given, expected) => {
    const request = head({ headers: given as Record<string, string> });
    const source = receiveRequestHeaders(request, hcm(options), connection(), '10.0.0.1', peerOf(connection()));
    expect({ ip: source.ip, xff: request.headers.get('x-forwarded-for'), proto: request.headers.get('x-forwarded-proto'), external: request.headers.get('x-envoy-external-address') }).toEqual(expected);
    expect(request.scheme).toBe(expected.proto);
  });

  it('keeps request ids inside the mesh and replaces them at the edge', () => {
    const inside = head({ headers: { 'x-request-id': 'mine' } });
    receiveRequestHeaders(inside, hcm(), connection(), '', peerOf(connection()));
    expect(inside.headers.get('x-request-id')).toBe('mine');
    const edge = head({ headers: { 'x-request-id': 'mine' } });
    receiveRequestHeaders(edge, hcm({ useRemoteAddress: true }), connection(), '', peerOf(connection()));
    expect(edge.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    const kept = head({ headers: { 'x-request-id': 'mine' } });
    receiveRequestHeaders(kept, hcm({ useRemoteAddress: true, preserveExternalRequestId: true }), connection(), '', peerOf(connection()));
    expect(kept.headers.get('x-request-id')).toBe('mine');
  });

  it('takes internal headers from nobody', () => {
    const request = head({ headers: { 'x-envoy-retry-on': '5xx', 'x-envoy-upstream-rq-timeout-ms': '1', 'x-envoy-internal': 'true', 'x-envoy-decorator-operation': 'op' } });
    receiveRequestHeaders(request, hcm(), connection(true), '', peerOf(connection()));
    for (const name of ['x-envoy-retry-on', 'x-envoy-upstream-rq-timeout-ms', 'x-envoy-internal']) expect(request.headers.has(name)).toBe(false);
    expect(request.headers.get('x-envoy-decorator-operation')).toBe('op');
  });
});

describe('newRequestId', () => {
  it('makes distinct version 4 UUIDs', () => {
    const ids = new Set(Array.from({ length: 10_000 }, newRequestId));
    expect(ids.size).toBe(10_000);
    for (const id of [...ids].slice(0, 100)) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe('normalizeRequestPath', () => {
  const all = { normalizePath: true, mergeSlashes: false, escapedSlashes: 'KEEP_UNCHANGED' } as const;
  it.each([
    ['/a/b', {}, '/a/b'], ['/a/../b', {}, '/b'], ['/a/./b/', {}, '/a/b/'], ['/../../a', {}, '/a'], ['/a/%2e%2e/b', {}, '/b'], ['/%41%7e%2f', {}, '/A~%2f'], ['/a\\b', {}, '/a/b'], ['/a//b', {}, '/a//b'], ['/a//b', { mergeSlashes: true }, '/a/b'],
    ['/a?x=../y//z', { mergeSlashes: true }, '/a?x=../y//z'], ['/a#b', {}, '/a'], ['/a/../b#../c', {}, '/b'], ['/a?x#y', {}, '/a?x'], ['/a%00b', {}, undefined], ['/a/..', {}, '/'], ['/.hidden', {}, '/.hidden'], ['/a..b/...', {}, '/a..b/...'],
    ['/a%2fb', { escapedSlashes: 'REJECT_REQUEST' }, undefined], ['/a%2F..%5cb', { escapedSlashes: 'UNESCAPE_AND_FORWARD' }, '/b'], ['/a/../b', { normalizePath: false }, '/a/../b'],
  ] as const)('%s %j → %s', (path, options, expected) => {
    const outcome = normalizeRequestPath(path, { ...all, ...options });
    expect(outcome.kind === 'ok' ? outcome.path : undefined).toBe(expected);
  });
});

describe('localResponse', () => {
  const grpc = head({ method: 'POST', headers: { 'content-type': 'application/grpc+proto' } });
  it.each([[400, 13], [401, 16], [403, 7], [404, 12], [429, 14], [502, 14], [503, 14], [504, 14], [500, 2], [418, 2]])('HTTP %i is gRPC %i', (status, code) => {
    const { head: response, body } = localResponse({ status, body: 'a b%é', details: '' }, grpc);
    expect([response.status, response.headers.get('grpc-status'), response.headers.get('grpc-message'), body]).toEqual([200, String(code), 'a b%25%C3%A9', undefined]);
  });
  it('does not take web types for gRPC', () => {
    expect(localResponse({ status: 503, body: 'x', details: '' }, head({ headers: { 'content-type': 'application/grpc-web' } })).head.status).toBe(503);
  });
});
