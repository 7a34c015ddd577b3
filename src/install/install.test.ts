import { expect, test } from 'vitest';
import { installSteps } from './manifests.ts';
import { operatorSpec } from './operator.ts';
import { mergeValues, parseSet, setValue, valueAt } from './values.ts';

const titles = (...sets: string[]) => {
  const result = operatorSpec(sets);
  if ('issues' in result) return result.issues.map((issue) => issue.message);
  return installSteps(result.spec, { version: '1.2.3', crds: [], webhooks: [] }).map((step) => step.title);
};

test.each([
  { sets: [], want: ['Istio core', 'Istiod', 'Ingress gateways'] },
  { sets: ['profile=demo'], want: ['Istio core', 'Istiod', 'Ingress gateways', 'Egress gateways'] },
  { sets: ['profile=minimal'], want: ['Istio core', 'Istiod'] },
  { sets: ['profile=empty'], want: [] },
  { sets: ['profile=demo', 'components.egressGateways[0].enabled=false'], want: ['Istio core', 'Istiod', 'Ingress gateways'] },
  { sets: ['profile=nope'], want: ['unknown profile "nope"'] },
  { sets: ['meshconfig.accessLogFile=x'], want: ['unknown key "meshconfig"'] },
  { sets: ['accessLogFile'], want: ['--set accessLogFile: write it as key.path=value'] },
])('install --set $sets', ({ sets, want }) => expect(titles(...sets)).toEqual(want));

test('a gateway written without a name gets the usual one', () => {
  const result = operatorSpec([], { components: { ingressGateways: [{ enabled: true }] } });
  expect('spec' in result && result.spec.components.ingressGateways[0]!.name).toBe('istio-ingressgateway');
});

test('mesh config from --set reaches the ConfigMap', () => {
  const result = operatorSpec(['meshConfig.accessLogFile=/dev/stdout', 'values.global.hub=registry.local/x']);
  const objects = 'spec' in result ? installSteps(result.spec, { version: '1', crds: [], webhooks: [] }).flatMap((step) => step.objects) : [];
  const mesh = objects.find((object) => object.metadata.name === 'istio') as unknown as { data: { mesh: string } };
  expect(mesh.data.mesh).toContain('accessLogFile: /dev/stdout');
  expect(JSON.stringify(objects)).toContain('registry.local/x/pilot:1');
});

test('values: maps merge, lists are replaced, null removes, prototypes are not reachable', () => {
  expect(mergeValues({ a: { b: 1, c: 2 }, l: [1] }, { a: { c: 3, b: null }, l: [2] })).toEqual({ a: { c: 3 }, l: [2] });
  expect(parseSet('a.b=true')).toEqual({ path: 'a.b', value: true });
  expect(valueAt(setValue({}, 'a.b\\.c[1]', 'x'), 'a')).toEqual({ 'b.c': [undefined, 'x'] });
  setValue({}, '__proto__.polluted', true);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});

test('the control plane and gateways may do what they need, and only that', () => {
  const result = operatorSpec([]);
  const objects = 'spec' in result ? installSteps(result.spec, { version: '1', crds: [], webhooks: [] }).flatMap((step) => step.objects) : [];
  const names = (kind: string) => objects.filter((object) => object.kind === kind).map((object) => `${object.metadata.namespace ?? ''}/${object.metadata.name}`);
  expect(names('ClusterRole')).toEqual(['/istiod-clusterrole-istio-system']);
  expect(names('ClusterRoleBinding')).toEqual(['/istiod-clusterrole-istio-system']);
  expect(names('RoleBinding')).toEqual(['istio-system/istiod', 'istio-system/istio-ingressgateway-sds']);
  const rules = objects.flatMap((object) => (object as unknown as { rules?: { verbs: string[]; resources: string[] }[] }).rules ?? []);
  expect(rules.filter(({ verbs, resources }) => verbs.includes('*') && resources.includes('*'))).toEqual([]);
});
