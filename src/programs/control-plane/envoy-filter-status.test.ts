import { expect, test } from 'vitest';
import type { EnvoyPatch } from '../../model/envoy-filter.ts';
import type { ProxyView } from '../../model/view.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { note, type PatchState } from '../../translate/envoy-filter/report.ts';
import { envoyFilterStatuses } from './envoy-filter-status.ts';

const OBJECT = { apiVersion: 'networking.istio.io/v1alpha3', kind: 'EnvoyFilter', metadata: { name: 'lua', namespace: 'default' }, status: { observedGeneration: 3 } } as unknown as KubeObject;
const patchOf = (index: number): EnvoyPatch => ({ origin: 'default/lua', path: `spec.configPatches[${index}]`, applyTo: 'HTTP_FILTER' }) as EnvoyPatch;

function viewWith(...states: readonly (PatchState | [PatchState, string])[]): ProxyView {
  const patches = states.map((_, index) => patchOf(index));
  const view = { envoyFilters: [{ name: 'lua', namespace: 'default', patches }] } as unknown as ProxyView;
  for (const [index, state] of states.entries()) note(view, patches[index]!, ...(typeof state === 'string' ? ([state, 'listener', ''] as const) : ([state[0], 'listener', state[1]] as const)));
  return view;
}
const conditionsOf = (...given: Parameters<typeof envoyFilterStatuses>) => envoyFilterStatuses(...given).map(({ status }) => status['conditions']);

test('one condition a patch counts the proxies of each outcome; the worst is the reason', () => {
  const views = [viewWith('applied', 'applied'), viewWith('no-match', ['unsupported', 'the proxy has no such filter']), viewWith('no-match', 'no-match')];
  expect(conditionsOf([OBJECT], views, [])).toEqual([[
    { type: 'ConfigPatches[0]', status: 'True', reason: 'Applied', message: 'HTTP_FILTER applied: 1 of 3 proxies; nothing there matches: 2 of 3 proxies' },
    { type: 'ConfigPatches[1]', status: 'False', reason: 'Unsupported', message: 'HTTP_FILTER unsupported: 1 of 3 proxies (the proxy has no such filter); applied: 1 of 3 proxies; nothing there matches: 1 of 3 proxies' },
  ]]);
});

test('what proxies refused is named, also when none of them has the filter any more', () => {
  const refused = [{ filter: 'default/lua', dataPlane: 'envoy 1.40', reason: 'no such field' }];
  expect(conditionsOf([OBJECT], [], refused)).toEqual([[{ type: 'ConfigPatches', status: 'False', reason: 'Refused', message: 'refused by envoy 1.40: no such field' }]]);
  expect(conditionsOf([OBJECT], [viewWith('applied')], refused)).toEqual([[{ type: 'ConfigPatches[0]', status: 'False', reason: 'Refused', message: 'HTTP_FILTER applied: 1 of 1 proxy; refused by envoy 1.40: no such field' }]]);
});

test('nobody is selected; other parts of the status and other objects stay alone', () => {
  expect(envoyFilterStatuses([OBJECT, { ...OBJECT, kind: 'Gateway' }], [], [])).toEqual([{ object: OBJECT, status: { observedGeneration: 3, conditions: [{ type: 'ConfigPatches', status: 'False', reason: 'NoProxy', message: 'no connected proxy is selected' }] } }]);
});
