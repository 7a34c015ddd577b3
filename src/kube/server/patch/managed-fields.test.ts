import { describe, expect, test } from 'vitest';
import { findKind } from '../../../objects/registry.ts';
import { FieldSet, fieldsOf } from './fields.ts';
import { applyConfiguration, trackUpdate, type Writer } from './managed-fields.ts';

const { schema } = findKind('apps', 'Deployment')!;
const writer = (manager: string, time = '2024-01-01T00:00:00Z'): Writer => ({ manager, apiVersion: 'apps/v1', time });
const deployment = (spec: object, metadata: object = {}): Record<string, unknown> => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd', ...metadata }, spec });
const containers = (...list: object[]) => ({ template: { spec: { containers: list } } });
const apply = (live: unknown, configuration: Record<string, unknown>, manager: string, force = false): Record<string, unknown> => applyConfiguration(live, configuration, schema, writer(manager), force);
const owners = (object: Record<string, unknown>): Record<string, string[]> =>
  Object.fromEntries(((object['metadata'] as { managedFields?: { manager: string; fieldsV1: unknown }[] }).managedFields ?? []).map((entry) => [entry.manager, FieldSet.fromJson(entry.fieldsV1).paths()]));

describe('field sets', () => {
  test('are written and read as FieldsV1', () => {
    const set = fieldsOf(deployment({ replicas: 1, ...containers({ name: 'a', image: 'x', ports: [{ containerPort: 80 }] }) }, { labels: { a: 'b' } }), schema);
    expect(set.toJson()).toEqual({
      'f:metadata': { 'f:labels': { 'f:a': {} } },
      'f:spec': {
        'f:replicas': {},
        'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"a"}': { '.': {}, 'f:name': {}, 'f:image': {}, 'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } } } } } },
      },
    });
    expect(FieldSet.fromJson(set.toJson()).equals(set)).toBe(true);
    expect(set.paths()).toContain('.spec.template.spec.containers[name="a"].image');
  });

  test('take atomic lists and maps as one', () => {
    const set = fieldsOf(deployment({ selector: { matchLabels: { a: 'b' } }, ...containers({ name: 'a', args: ['1'] }) }), schema);
    expect(set.paths()).toEqual(expect.arrayContaining(['.spec.selector', '.spec.template.spec.containers[name="a"].args']));
    expect(set.paths().join(' ')).not.toContain('matchLabels');
  });
});

describe('server-side apply', () => {
  test('creates, and owns exactly what was applied', () => {
    const result = apply(undefined, deployment({ replicas: 1 }, { labels: { a: 'b' } }), 'me');
    expect(owners(result)).toEqual({ me: ['.metadata.labels.a', '.spec.replicas'] });
  });

  test('removes what is not applied any more, unless another manager owns it', () => {
    const first = apply(undefined, deployment({ replicas: 1, paused: true }, { labels: { a: 'b', c: 'd' } }), 'me');
    const shared = apply(first, deployment({ replicas: 1 }), 'other');
    const result = apply(shared, deployment({}, { labels: { a: 'b' } }), 'me');
    expect(result['spec']).toEqual({ replicas: 1 });
    expect((result['metadata'] as { labels: unknown }).labels).toEqual({ a: 'b' });
    expect(owners(result)).toEqual({ me: ['.spec', '.metadata.labels.a'], other: ['.spec.replicas'] });
  });

  test('keeps items of others in keyed lists', () => {
    const first = apply(undefined, deployment(containers({ name: 'a', image: '1' })), 'me');
    const injected = trackUpdate(first, { ...first, spec: containers({ name: 'a', image: '1' }, { name: 'sidecar', image: 's' }) }, schema, writer('injector'));
    const result = apply(injected, deployment(containers({ name: 'b', image: '2' })), 'me');
    expect(result['spec']).toEqual(containers({ name: 'sidecar', image: 's' }, { name: 'b', image: '2' }));
  });

  test('refuses to change what another manager owns, with the text kubectl shows', () => {
    const live = trackUpdate(undefined, deployment({ replicas: 2, paused: true }), schema, writer('kubectl-scale'));
    expect(() => apply(live, deployment({ replicas: 3 }), 'me')).toThrow('Apply failed with 1 conflict: conflict with "kubectl-scale" using apps/v1: .spec.replicas');
    expect(() => apply(live, deployment({ replicas: 3, paused: false }), 'me')).toThrow('Apply failed with 2 conflicts: conflicts with "kubectl-scale" using apps/v1:\n- .spec.paused\n- .spec.replicas');
    const forced = apply(live, deployment({ replicas: 3 }), 'me', true);
    expect(owners(forced)).toEqual({ me: ['.spec.replicas'], 'kubectl-scale': ['.spec.paused'] });
  });

  test('shares a field applied with the same value', () => {
    const live = apply(undefined, deployment({ replicas: 2 }), 'one');
    expect(owners(apply(live, deployment({ replicas: 2 }), 'two'))).toEqual({ one: ['.spec.replicas'], two: ['.spec.replicas'] });
  });

  test('applied again, changes nothing', () => {
    const once = apply(undefined, deployment({ replicas: 2, ...containers({ name: 'a', image: '1' }) }), 'me');
    expect(applyConfiguration(once, deployment({ replicas: 2, ...containers({ name: 'a', image: '1' }) }), schema, writer('me', '2025-01-01T00:00:00Z'), false)).toEqual(once);
  });
});

test('an update takes over what it changes and forgets what it removes', () => {
  const first = apply(undefined, deployment({ replicas: 1, paused: true }), 'applier');
  const result = trackUpdate(first, { ...first, spec: { replicas: 5 } }, schema, writer('editor'));
  expect(owners(result)).toEqual({ editor: ['.spec.replicas'] });
});
