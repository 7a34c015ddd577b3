import { expect, test } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { resolve } from '../../resolve/resolve.ts';
import { HOLD_BACK_MS, HoldBack } from './hold-back.ts';

const object = (kind: string, name: string, spec: object, apiVersion = 'networking.istio.io/v1'): KubeObject => ({ apiVersion, kind, metadata: { name, namespace: 'ns' }, spec }) as unknown as KubeObject;
const service = object('Service', 'a', { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80 }] }, 'v1');
const rule = (subset?: string, name = 'a'): KubeObject => object('VirtualService', name, { hosts: [name], http: [{ route: [{ destination: { host: 'a', ...(subset && { subset }) } }] }] });
const subsets = (...names: string[]): KubeObject => object('DestinationRule', 'a', { host: 'a', subsets: names.map((name) => ({ name, labels: { version: name } })) });

function start(...initial: KubeObject[]) {
  const clock = new VirtualClock(1000);
  let refreshes = 0;
  const holdBack = new HoldBack(clock, () => void refreshes++);
  /** Subsets that the rules in force lead to, '' for none. */
  const see = (...objects: KubeObject[]): string[] => {
    const { issues } = resolve({ objects });
    const { snapshot } = resolve({ objects: holdBack.instead(objects, issues) ?? objects });
    return snapshot.virtualServices.map(({ name, http }) => `${name}:${http.map(({ action }) => (action.kind === 'route' ? action.destinations[0]!.destination.subset : '?')).join()}`);
  };
  see(...initial);
  return { clock, see, refreshes: () => refreshes };
}

test('a rule ahead of its subset waits as it was, and goes on when the subset comes', () => {
  const { see } = start(service, rule());
  expect(see(service, rule('v1'))).toEqual(['a:']);
  expect(see(service, rule('v1'), rule(undefined, 'b'))).toEqual(['a:', 'b:']);
  expect(see(service, rule('v1'), subsets('v1'))).toEqual(['a:v1']);
});

test('a new rule ahead of its subset is not there yet', () => {
  const { see } = start(service);
  expect(see(service, rule('v1'))).toEqual([]);
  expect(see(service, subsets('v1'), rule('v1'))).toEqual(['a:v1']);
});

test('nobody waits for ever: after the time the rule is obeyed as written, however often it was written', () => {
  const { see, clock, refreshes } = start(service, rule());
  expect(see(service, rule('v1'))).toEqual(['a:']);
  clock.advance(HOLD_BACK_MS / 2);
  expect(see(service, rule('v1'))).toEqual(['a:']);
  clock.advance(HOLD_BACK_MS / 2);
  expect(refreshes()).toBe(1);
  expect(see(service, rule('v1'))).toEqual(['a:v1']);
  expect(see(service, rule('v1'))).toEqual(['a:v1']);
});

test('what was there at first, and rules that lose their subset, do not wait', () => {
  const { see } = start(service, rule('v1'));
  expect(see(service, rule('v1'))).toEqual(['a:v1']);
  const other = start(service, rule('v1'), subsets('v1'));
  expect(other.see(service, rule('v1'))).toEqual(['a:v1']);
  expect(other.see(service, rule('v2'), subsets('v1'))).toEqual(['a:v1']);
  expect(other.see(service)).toEqual([]);
});
