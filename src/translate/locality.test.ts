import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import type { LocalitySettings } from '../model/destination-rule.ts';
import { LocalityLbEndpointsSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.ts';
import { compactPriorities, failoverDistance, localityPriorities, topologyLabels } from './locality.ts';

const own = { region: 'r1', zone: 'z1', subZone: 's1' };
const group = (text: string) => {
  const [region = '', zone = '', subZone = ''] = text.split('/');
  return create(LocalityLbEndpointsSchema, { locality: { region, zone, subZone }, lbEndpoints: [{}] });
};
const settings = (parts: Partial<LocalitySettings> = {}): LocalitySettings => ({ enabled: true, distribute: [], failover: [], failoverPriority: [], ...parts });
const priorities = (places: string[], parts = settings(), outlier = true, from = own) => localityPriorities(from, places.map(group), parts, outlier).map((entry) => entry.priority);

describe('locality', () => {
  it.each([
    ['sub zone, zone, region, elsewhere', ['r1/z1/s1', 'r1/z1/s2', 'r1/z2', 'r2/z1'], settings(), true, [0, 1, 2, 3]],
    ['gaps close', ['r2/z1', 'r1/z2'], settings(), true, [1, 0]],
    ['without outlier detection nothing fails over', ['r2', 'r1/z1/s1'], settings(), false, [0, 0]],
    ['off', ['r2', 'r1/z1/s1'], settings({ enabled: false }), true, [0, 0]],
    ['a named region comes before others', ['r2', 'r3', 'r1/z1/s1'], settings({ failover: [{ from: 'r1', to: 'r3' }] }), true, [2, 1, 0]],
  ])('%s', (_, places, parts, outlier, expected) => expect(priorities(places, parts, outlier)).toEqual(expected));
  it('treats all alike when the proxy has no place', () => expect(priorities(['r2', 'r1'], settings(), true, { region: '', zone: '', subZone: '' })).toEqual([0, 0]));
  it('splits by weight when told to', () => {
    const result = localityPriorities(own, ['r1/z1', 'r1/z2', 'r2/z1'].map(group), settings({ distribute: [{ from: 'r1/*', to: [['r1/z1/*', 80], ['r1/z2/*', 20]] }] }), true);
    expect(result.map((entry) => [entry.locality?.zone, entry.loadBalancingWeight])).toEqual([['z1', 80], ['z2', 20]]);
  });
  it.each([
    ['all labels equal', { region: 'r1', zone: 'z1', subZone: '' }, {}, 0],
    ['the second differs', { region: 'r1', zone: 'z2', subZone: '' }, {}, 2],
    ['what follows a difference does not count', { region: 'r2', zone: 'z1', subZone: '' }, {}, 3],
    ['a value named by the rule', { region: 'r1', zone: 'z1', subZone: '' }, { version: 'v1' }, 1],
  ])('failoverPriority: %s', (_, locality, labels, distance) => {
    const mine = topologyLabels({ version: 'v1' }, { region: 'r1', zone: 'z1', subZone: '' }, '');
    expect(failoverDistance(mine, topologyLabels({ version: 'v2', ...labels }, locality, ''), ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone', 'version=v2'])).toBe(distance);
  });
  it('closes gaps between distances', () => expect(compactPriorities([3, 0, 3, 1])).toEqual([2, 0, 2, 1]));
});
