import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { HeaderValueOption_HeaderAppendAction as Append } from '../../../xds/gen/envoy/config/core/v3/base_pb.ts';
import { CheckResponseSchema } from '../../../xds/gen/envoy/service/auth/v3/external_auth_pb.ts';
import { headers } from '../../testing/head.ts';
import type { HttpTarget } from './config.ts';
import { applyChanges, judgeGrpc, judgeHttp, type HeaderChange } from './verdict.ts';

const target: HttpTarget = {
  cluster: 'c', timeoutMs: 1, pathPrefix: '', headersToAdd: [], toUpstream: (name) => name.startsWith('x-up'), appendToUpstream: (name) => name === 'x-more', toClientOnSuccess: (name) => name === 'x-down', toClientOnDenial: (name) => name === 'location' || name === 'set-cookie',
};
const http = (status: number, fields: Record<string, string | string[]> = {}) => judgeHttp({ kind: 'response', head: { status, headers: headers(fields) }, body: Buffer.from('text'), trailers: undefined }, target);

describe('an HTTP authorizer', () => {
  it('allows with 200 and says what changes', () => expect(http(200, { 'x-up-a': '1', 'x-more': '2', 'x-down': '3', 'x-other': '4', 'x-envoy-auth-headers-to-remove': 'Cookie , x-a' })).toEqual({
    kind: 'allowed', query: new Map(), metadata: undefined, remove: ['cookie', 'x-a'], response: [{ how: 'set', name: 'x-down', value: '3' }],
    request: [{ how: 'set', name: 'x-up-a', value: '1' }, { how: 'add', name: 'x-more', value: '2' }],
  }));
  it('denies with its own answer', () => expect(http(302, { location: '/login', 'set-cookie': ['a=1', 'b=2'], 'x-secret': 's', 'content-length': '4', connection: 'close' })).toEqual({ kind: 'denied', status: 302, body: 'text', headers: [['location', '/login'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']] }));
  it.each([201, 204, 403])('%i is a denial', (status) => expect(http(status)).toMatchObject({ kind: 'denied', status }));
  it.each([500, 503])('%i is an error', (status) => expect(http(status)).toMatchObject({ kind: 'error' }));
  it('that cannot be reached is an error', () => expect(judgeHttp({ kind: 'failure', reason: 'timeout' }, target)).toEqual({ kind: 'error', reason: 'timeout' }));
});

describe('a gRPC authorizer', () => {
  const grpc = (init: MessageInitShape<typeof CheckResponseSchema>) => judgeGrpc(create(CheckResponseSchema, init));
  it('allows with status 0', () => expect(grpc({ status: { code: 0 }, httpResponse: { case: 'okResponse', value: {
    headers: [{ header: { key: 'X-A', value: '1' } }, { header: { key: 'x-b', value: '2' }, append: true }, { header: { key: 'x-c', value: '3' }, appendAction: Append.ADD_IF_ABSENT }],
    headersToRemove: ['X-D'], responseHeadersToAdd: [{ header: { key: 'x-e', value: '5' } }], queryParametersToSet: [{ key: 'q', value: '6' }], queryParametersToRemove: ['r'],
  } } })).toEqual({
    kind: 'allowed', metadata: undefined, remove: ['x-d'], query: new Map([['r', undefined], ['q', '6']]), response: [{ how: 'set', name: 'x-e', value: '5' }],
    request: [{ how: 'set', name: 'x-a', value: '1' }, { how: 'add', name: 'x-b', value: '2' }, { how: 'add-absent', name: 'x-c', value: '3' }],
  }));
  it('without a status allows, as an empty message', () => expect(grpc({})).toMatchObject({ kind: 'allowed' }));
  it('denies with 403 or what it says', () => {
    expect(grpc({ status: { code: 7 } })).toEqual({ kind: 'denied', status: 403, body: '', headers: [] });
    expect(grpc({ status: { code: 16 }, httpResponse: { case: 'deniedResponse', value: { status: { code: 401 }, body: 'who', headers: [{ header: { key: 'X-Why', value: 'no' } }] } } })).toEqual({ kind: 'denied', status: 401, body: 'who', headers: [['x-why', 'no']] });
  });
});

describe('header changes', () => {
  const apply = (changes: HeaderChange[]) => {
    const map = headers({ a: '1', b: '2' });
    applyChanges(map, changes);
    return [...map.entries()];
  };
  it('replace once and keep lists whole', () => expect(apply([{ how: 'set', name: 'a', value: 'x' }, { how: 'set', name: 'a', value: 'y' }])).toEqual([['b', '2'], ['a', 'x'], ['a', 'y']]));
  it('add, and look at what is there', () => expect(apply([{ how: 'add', name: 'a', value: 'x' }, { how: 'add-absent', name: 'b', value: 'x' }, { how: 'add-absent', name: 'c', value: 'x' }, { how: 'set-present', name: 'd', value: 'x' }])).toEqual([['a', '1'], ['b', '2'], ['a', 'x'], ['c', 'x']]));
});
