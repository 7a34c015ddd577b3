import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { TYPE_URL } from '../ads.ts';
import { encodedFrom, encodeResource, nameInBytes } from '../codec.ts';
import { ClusterSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from '../gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { NameTableSchema } from '../gen/istio/nds/nds_pb.ts';
import { decodeResponse, encodeResponse, type OutgoingResponse } from '../wire.ts';
import { responseChunks } from './response-bytes.ts';

const cluster = (name: string, altStatName = '') => encodeResource(create(ClusterSchema, { name, altStatName }));
const clusters = (count: number) => Array.from({ length: count }, (_, index) => cluster(`c${index}`));

const RESPONSES: readonly (readonly [string, OutgoingResponse])[] = [
  ['nothing', { typeUrl: TYPE_URL.cluster, nonce: 'n', version: 'v', resources: [], removed: [] }],
  ['removals', { typeUrl: TYPE_URL.cluster, nonce: 'n', version: 'v', resources: [], removed: ['a', 'ü'] }],
  ['one', { typeUrl: TYPE_URL.cluster, nonce: '1', version: '2026', resources: [cluster('a')], removed: ['b'] }],
  ['many', { typeUrl: TYPE_URL.cluster, nonce: '2', version: '2026', resources: clusters(700), removed: [] }],
  ['large ones between small ones', { typeUrl: TYPE_URL.cluster, nonce: '3', version: 'v', resources: [cluster('a'), cluster('b', 'x'.repeat(100_000)), cluster('c'), cluster('d', 'y'.repeat(20_000))], removed: [] }],
  ['one without a name', { typeUrl: TYPE_URL.nameTable, nonce: '4', version: 'v', resources: [encodeResource(create(NameTableSchema, { table: { a: { ips: ['1.1.1.1'] } } }))], removed: [] }],
  ['an empty value', { typeUrl: TYPE_URL.cluster, nonce: '5', version: 'v', resources: [encodedFrom(TYPE_URL.cluster, '', new Uint8Array())], removed: [] }],
];

describe('responseChunks', () => {
  for (const mode of ['delta', 'sotw'] as const)
    it.each(RESPONSES)(`says what encodeResponse says (${mode}, %s)`, (_, response) => {
      const plain = (bytes: Uint8Array) => {
        const decoded = decodeResponse(mode, bytes, nameInBytes);
        return { ...decoded, resources: decoded.resources.map((resource) => ({ ...resource, value: Buffer.from(resource.value).toString('base64') })) };
      };
      const wanted = plain(encodeResponse(mode, response));
      expect(plain(Buffer.concat(responseChunks(mode, response)))).toEqual(wanted);
      // Once more, from what was kept.
      expect(plain(Buffer.concat(responseChunks(mode, { ...response, nonce: 'other' })))).toEqual({ ...wanted, nonce: 'other' });
    });

  it('shares the bytes of equal resources', () => {
    const resources = clusters(200);
    const [first, second] = ['a', 'b'].map((nonce) => responseChunks('delta', { typeUrl: TYPE_URL.cluster, nonce, version: 'v', resources, removed: [] }));
    expect(second!.slice(1).every((chunk, index) => chunk === first![index + 1])).toBe(true);
  });
});

describe('nameInBytes', () => {
  it('finds names of every kind', () => {
    expect(nameInBytes(cluster('a|b'))).toBe('a|b');
    expect(nameInBytes(encodeResource(create(ClusterLoadAssignmentSchema, { clusterName: 'eds', policy: { overprovisioningFactor: 3 } })))).toBe('eds');
    expect(nameInBytes(encodeResource(create(NameTableSchema, { table: { a: {} } })))).toBe('');
    expect(() => nameInBytes({ typeUrl: TYPE_URL.cluster, value: new Uint8Array([10, 200]) })).toThrow();
  });
});
