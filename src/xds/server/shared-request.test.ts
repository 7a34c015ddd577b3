import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { TYPE_URL } from '../ads.ts';
import { DiscoveryRequestSchema } from '../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { decodeRequest, encodeRequest, type OutgoingRequest } from '../wire.ts';
import { decodeSharedRequest } from './shared-request.ts';

const many = (count: number, word = 'name') => Array.from({ length: count }, (_, index) => `outbound|80||${word}-${index}.default.svc.cluster.local`);
const encode = (names: readonly string[], nonce: string, rest: Partial<OutgoingRequest> = {}) =>
  Buffer.from(encodeRequest('sotw', { typeUrl: TYPE_URL.endpoint, responseNonce: nonce, versionInfo: 'v', names, unsubscribe: [], initialVersions: new Map(), ...rest }));

describe('decodeSharedRequest', () => {
  it.each([['few', many(2)], ['none', []], ['many', many(500)], ['many others', many(500, 'nama')]])('says what decodeRequest says (%s)', (_, names) => {
    for (const bytes of [encode(names, 'a'), encode(names, 'b', { error: 'no' })]) for (let round = 0; round < 2; round++) expect(decodeSharedRequest('sotw', bytes)).toEqual(decodeRequest('sotw', bytes));
  });

  it('shares equal lists, and only those', () => {
    const read = (names: readonly string[], nonce: string) => decodeSharedRequest('sotw', encode(names, nonce)).names;
    const first = read(many(300), 'a');
    expect(read(many(300), 'b')).toBe(first);
    const changed = many(300);
    changed[137] = changed[137]!.replace('name-137', 'name-138');
    expect(read(changed, 'c')).toEqual(changed);
    expect(read(many(300), 'd')).toEqual(many(300));
  });

  it('reads names that are scattered, and refuses bytes that are no request', () => {
    const part = (names: string[]) => toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, { resourceNames: names, typeUrl: TYPE_URL.endpoint }));
    const scattered = Buffer.concat([part(many(50)), part(many(50, 'x'))]);
    expect(decodeSharedRequest('sotw', scattered).names).toEqual([...many(50), ...many(50, 'x')]);
    expect(() => decodeSharedRequest('sotw', Buffer.alloc(5000, 0xff))).toThrow();
  });
});
