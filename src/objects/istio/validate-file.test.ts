import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { KubeObject } from '../meta.ts';
import { validateFileObject } from './validate-file.ts';

const service = (ports: string, namespace = 'a'): KubeObject => parse(`{apiVersion: v1, kind: Service, metadata: {name: s, namespace: ${namespace}}, spec: {ports: [${ports}]}}`) as KubeObject;
const paths = (object: KubeObject): readonly string[] => validateFileObject(object).map(({ path }) => path);

test.each<[string, readonly string[]]>([
  ['{port: 1, name: http}', []],
  ['{port: 1, name: grpc-web}', []],
  ['{port: 1, name: TCP-x}', []],
  ['{port: 1, name: web, protocol: udp}', []],
  ['{port: 1}', ['spec.ports[0].name']],
  ['{port: 1, name: http}, {port: 2, name: web-http}', ['spec.ports[1].name']],
  ['{port: 1, name: web, appProtocol: https}', []],
  ['{port: 1, name: http, appProtocol: what}', ['spec.ports[0].appProtocol']],
])('ports of a Service: %s', (ports, expected) => expect(paths(service(ports))).toEqual(expected));

test('the control plane, lists and other kinds', () => {
  expect(paths(service('{port: 1}', 'istio-system'))).toEqual([]);
  expect(paths({ apiVersion: 'v1', kind: 'List', metadata: { name: '' }, items: [service('{port: 1}')] } as unknown as KubeObject)).toEqual(['spec.ports[0].name']);
  expect(paths({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' } } as KubeObject)).toEqual([]);
  expect(paths({ apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: null } as unknown as KubeObject)).toEqual([]);
});
