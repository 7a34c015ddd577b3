import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../objects/meta.ts';
import { resolve } from './resolve.ts';

const entry = (name: string, host: string, spec: Record<string, unknown> = {}): KubeObject => ({ apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: { name, namespace: 'default' }, spec: { hosts: [host], ports: [{ number: 443, name: name }], resolution: 'DNS', ...spec } }) as KubeObject;
const addresses = (...objects: KubeObject[]) => Object.fromEntries(resolve({ objects }).snapshot.services.map((service) => [service.hostname, service.addresses]));

describe('allocated addresses', () => {
  it('stay when other hosts come', () => {
    const alone = addresses(entry('a', 'a.example'));
    expect(alone['a.example']).toMatchObject([expect.stringMatching(/^240\.240\.\d+\.\d+$/)]);
    expect(addresses(entry('a', 'a.example'), entry('b', 'b.example'))['a.example']).toEqual(alone['a.example']);
  });
  it('are the same for two entries of one host', () => expect(Object.keys(addresses(entry('a', 'a.example'), entry('b', 'a.example')))).toEqual(['a.example']));
  it('differ between many hosts and never end in 0 or 255', () => {
    const all = Object.values(addresses(...Array.from({ length: 500 }, (_, index) => entry(`s${index}`, `h${index}.example`)))).flat();
    expect(new Set(all).size).toBe(500);
    expect(all.filter((address) => /\.(0|255)$/.test(address))).toEqual([]);
  });
  it.each([['a wildcard', '*.example', {}], ['resolution NONE', 'a.example', { resolution: 'NONE' }]])('are not given to %s', (_, host, spec) => expect(addresses(entry('a', host, spec))[host]).toEqual([]));
  it('do not replace what the user wrote', () => expect(addresses(entry('a', 'a.example', { addresses: ['10.9.9.9'] }))['a.example']).toEqual(['10.9.9.9']));
});
