import { expect, test } from 'vitest';
import { allowsPath, allowsResource, missingRules, type ResourceAccess } from './rules.ts';

const access = (text: string): ResourceAccess => {
  const [verb = '', full = '', name = '', namespace] = text.split(' ');
  const [where = '', group = ''] = full.split('.', 2);
  const [resource = '', subresource = ''] = where.split('/');
  return { verb, group, resource, subresource, name, namespace };
};

test.each([
  { rule: { verbs: ['get'], apiGroups: [''], resources: ['pods'] }, yes: ['get pods', 'get pods a'], no: ['list pods', 'get pods/log', 'get pods.apps'] },
  { rule: { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, yes: ['get pods', 'delete pods/log a', 'create deployments.apps'], no: [] },
  { rule: { verbs: ['get'], apiGroups: [''], resources: ['pods/log'] }, yes: ['get pods/log a'], no: ['get pods a'] },
  { rule: { verbs: ['update'], apiGroups: ['apps'], resources: ['*/scale'] }, yes: ['update deployments/scale.apps a'], no: ['update deployments.apps a'] },
  // A named object: creating and listing name none.
  { rule: { verbs: ['get', 'list', 'create'], apiGroups: [''], resources: ['secrets'], resourceNames: ['a'] }, yes: ['get secrets a'], no: ['get secrets b', 'list secrets', 'create secrets'] },
])('$rule', ({ rule, yes, no }) => {
  expect(yes.filter((one) => !allowsResource(rule, access(one)))).toEqual([]);
  expect(no.filter((one) => allowsResource(rule, access(one)))).toEqual([]);
});

test('paths', () => {
  const rule = { verbs: ['get'], nonResourceURLs: ['/healthz', '/apis/*'] };
  expect(['/healthz', '/apis/apps', '/apis/'].every((path) => allowsPath(rule, { verb: 'get', path }))).toBe(true);
  expect(['/healthz/x', '/api', '/apis'].some((path) => allowsPath(rule, { verb: 'get', path }))).toBe(false);
  expect(allowsPath(rule, { verb: 'post', path: '/healthz' })).toBe(false);
});

test('what one does not have cannot be passed on', () => {
  const owned = [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] }, { verbs: ['*'], apiGroups: ['apps'], resources: ['*'] }, { verbs: ['get'], apiGroups: [''], resources: ['secrets'], resourceNames: ['a'] }];
  expect(missingRules(owned, [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }, { verbs: ['delete'], apiGroups: ['apps'], resources: ['deployments/scale'] }, { verbs: ['get'], apiGroups: [''], resources: ['secrets'], resourceNames: ['a'] }])).toEqual([]);
  expect(missingRules(owned, [{ verbs: ['get', 'delete'], apiGroups: [''], resources: ['pods'] }])).toEqual([{ verbs: ['delete'], apiGroups: [''], resources: ['pods'] }]);
  expect(missingRules(owned, [{ verbs: ['get'], apiGroups: [''], resources: ['secrets'] }])).toHaveLength(1);
  expect(missingRules(owned, [{ verbs: ['*'], apiGroups: ['apps'], resources: ['*'] }])).toEqual([]);
  expect(missingRules(owned, [{ verbs: ['get'], apiGroups: ['*'], resources: ['pods'] }])).toHaveLength(1);
  expect(missingRules([{ verbs: ['*'], nonResourceURLs: ['/a/*'] }], [{ verbs: ['get'], nonResourceURLs: ['/a/b', '/b'] }])).toEqual([{ verbs: ['get'], nonResourceURLs: ['/b'] }]);
});
