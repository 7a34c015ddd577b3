import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../objects/meta.ts';
import { meansTheSame, trimObject } from './trim-object.ts';

const object = (apiVersion: string, kind: string, rest: object): KubeObject => ({ apiVersion, kind, metadata: { name: 'x', namespace: 'ns', generation: 2, resourceVersion: '1', uid: 'u' }, ...rest }) as KubeObject;

describe('objects with a status of ours', () => {
  it.each([['gateway.networking.k8s.io/v1', 'Gateway'], ['gateway.networking.x-k8s.io/v1alpha1', 'XListenerSet'], ['networking.k8s.io/v1', 'Ingress']])('%s %s keeps status and generation, and its status means nothing', (apiVersion, kind) => {
    const [before, after] = [object(apiVersion, kind, { status: { conditions: [] } }), object(apiVersion, kind, { status: { conditions: [{ type: 'Accepted' }] } })];
    expect(trimObject(before)).toMatchObject({ metadata: { generation: 2 }, status: { conditions: [] } });
    expect(meansTheSame(trimObject(before), trimObject(after))).toBe(true);
    expect(meansTheSame(trimObject(before), trimObject({ ...before, spec: {} } as KubeObject))).toBe(false);
  });
  it('others lose both', () => {
    expect(trimObject(object('networking.istio.io/v1', 'Gateway', { status: { a: 1 } }))).toEqual({ apiVersion: 'networking.istio.io/v1', kind: 'Gateway', metadata: { name: 'x', namespace: 'ns', resourceVersion: '1', uid: 'u' } });
  });
});

it('keeps of a ConfigMap what a mesh can use', () => {
  expect(trimObject(object('v1', 'ConfigMap', { data: { 'ca.crt': 'c', big: 'text' } }))).toMatchObject({ data: { 'ca.crt': 'c' } });
  expect(trimObject(object('v1', 'ConfigMap', { data: { big: 'text' } }))).toHaveProperty('data', {});
});
