import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClusterRole } from '../../objects/kubernetes/rbac.ts';
import { CLUSTER_ROLE } from '../../objects/resource-types.ts';
import { kubectlMissing, startTestServer, type TestServer } from './testing.ts';

const missing = kubectlMissing();
if (missing) process.stderr.write(`skipped: kubectl and roles, because ${missing}\n`);

describe.skipIf(missing)('roles', () => {
  let server: TestServer;
  const kubectl = async (line: string, input?: string): Promise<string> => {
    const { code, stdout, stderr } = await server.kubectl(line.split(' '), input);
    return `${stdout}${stderr}${code === 0 ? '' : `exit ${code}`}`;
  };
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.close());

  test('default roles are there, aggregated ones filled', async () => {
    const table = await kubectl('get clusterroles');
    for (const name of ['cluster-admin', 'admin', 'edit', 'view', 'system:discovery', 'system:basic-user']) expect(table).toMatch(new RegExp(`^${name} +\\d{4}-`, 'm'));
    expect(await kubectl('get clusterrolebinding cluster-admin -o wide --no-headers')).toMatch(/^cluster-admin +ClusterRole\/cluster-admin +\d+s +system:masters *\n$/);
    const rules = async (name: string) => (await server.client.get<ClusterRole>(CLUSTER_ROLE, name))!.rules!.length;
    const [view, edit, admin] = [await rules('view'), await rules('edit'), await rules('admin')];
    expect(view).toBeGreaterThan(8);
    expect(edit).toBeGreaterThan(view);
    expect(admin).toBeGreaterThan(edit);
  });

  test('a service account may do nothing but ask what it may', async () => {
    const as = '--as=system:serviceaccount:default:default';
    expect(await kubectl(`get pods ${as}`)).toBe('Error from server (Forbidden): pods is forbidden: User "system:serviceaccount:default:default" cannot list resource "pods" in API group "" in the namespace "default"\nexit 1');
    expect(await kubectl(`get nodes ${as}`)).toContain('cannot list resource "nodes" in API group "" at the cluster scope');
    expect(await kubectl(`auth can-i list pods ${as}`)).toBe('no\nexit 1');
    expect(await kubectl(`auth whoami ${as} -o jsonpath={.status.userInfo.groups}`)).toBe('["system:serviceaccounts","system:serviceaccounts:default","system:authenticated"]');
    expect(await kubectl(`auth can-i --list ${as}`)).toMatch(/selfsubjectaccessreviews\.authorization\.k8s\.io +\[\] +\[\] +\[create\]/);
  });

  test('bindings take effect at once, in their namespace only', async () => {
    await kubectl('create namespace other');
    expect(await kubectl('create rolebinding reads --clusterrole=view --serviceaccount=default:default')).toBe('rolebinding.rbac.authorization.k8s.io/reads created\n');
    const as = '--as=system:serviceaccount:default:default';
    expect(await kubectl(`get pods ${as}`)).toBe('No resources found in default namespace.\n');
    expect(await kubectl(`get pods -n other ${as}`)).toContain('in the namespace "other"');
    expect(await kubectl(`get secrets ${as}`)).toContain('cannot list resource "secrets"');
    expect(await kubectl(`create configmap x ${as}`)).toContain('cannot create resource "configmaps"');
    expect(await kubectl('delete rolebinding reads')).toContain('deleted');
    expect(await kubectl(`auth can-i get pods ${as}`)).toBe('no\nexit 1');
  });

  test('kubectl create role, clusterrole, clusterrolebinding; a user of a real certificate', async () => {
    expect(await kubectl('create role pods --verb=get,list --resource=pods,pods/log')).toBe('role.rbac.authorization.k8s.io/pods created\n');
    expect(await kubectl('create clusterrole deploys --verb=get,list,watch,update --resource=deployments.apps,deployments.apps/scale')).toBe('clusterrole.rbac.authorization.k8s.io/deploys created\n');
    expect(await kubectl('create clusterrolebinding jane --clusterrole=deploys --user=jane --group=devs')).toBe('clusterrolebinding.rbac.authorization.k8s.io/jane created\n');
    expect(await kubectl('create rolebinding jane-pods --role=pods --user=jane')).toContain('created');
    expect(await kubectl('auth can-i update deployments --subresource=scale --as=jane -n other')).toBe('yes\n');
    expect(await kubectl('auth can-i get deployments.apps --as=joe --as-group=devs')).toBe('yes\n');
    expect(await kubectl('auth can-i get pods/log --as=jane')).toBe('yes\n');
    expect(await kubectl('auth can-i get /version --as=jane')).toContain('yes\n');
    expect(await kubectl('auth can-i get /logs --as=jane')).toContain('no\n');
    expect(await kubectl('describe clusterrole deploys')).toMatch(/deployments.apps\/scale +\[\] +\[\] +\[get list watch update\]/);
  });

  test('nobody gives more than they have', async () => {
    await kubectl('create clusterrole roles --verb=create,update,patch,get --resource=clusterroles.rbac.authorization.k8s.io,clusterrolebindings.rbac.authorization.k8s.io');
    await kubectl('create clusterrolebinding roles --clusterrole=roles --user=mallory');
    expect(await kubectl('create clusterrole mine --verb=get --resource=secrets --as=mallory')).toContain('user "mallory" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}');
    expect(await kubectl('create clusterrolebinding mine --clusterrole=cluster-admin --user=mallory --as=mallory')).toContain('is attempting to grant RBAC permissions not currently held');
    expect(await kubectl('create clusterrole same --verb=get --resource=clusterroles.rbac.authorization.k8s.io --as=mallory')).toContain('created');
    expect(await kubectl('get pods --as=jane --as-uid=1 --as=mallory')).toContain('User "mallory" cannot list');
    expect(await kubectl('patch clusterrolebinding roles --type=merge -p {"roleRef":{"name":"cluster-admin"}}')).toContain('cannot change roleRef');
    expect(await kubectl('create role empty --verb=get --resource=pods --dry-run=client -o yaml').then((yaml) => kubectl('create -f -', yaml.replace('verbs:\n  - get', 'verbs: []')))).toContain('rules[0].verbs: Required value: verbs must contain at least one value');
  });

  test('impersonation needs permission', async () => {
    const { body: secret } = await server.fetch('/api/v1/namespaces/default/serviceaccounts/default/token', { method: 'POST', body: '{"spec":{}}', headers: { 'content-type': 'application/json' } });
    const { token } = (JSON.parse(secret) as { status: { token: string } }).status;
    const ask = (headers: Record<string, string>) => server.fetch('/api/v1/namespaces/default/pods', { anonymous: true, headers: { authorization: `Bearer ${token}`, ...headers } });
    expect((await ask({})).status).toBe(403);
    expect(await ask({ 'impersonate-user': 'root' })).toMatchObject({ status: 403, body: expect.stringContaining('users \\"root\\" is forbidden: User \\"system:serviceaccount:default:default\\" cannot impersonate resource \\"users\\" in API group \\"\\" at the cluster scope') });
    expect((await ask({ 'impersonate-group': 'system:masters' })).status).toBe(500);
    expect((await server.fetch('/api/v1/pods', { headers: { 'impersonate-user': 'x', 'impersonate-group': 'system:masters' } })).status).toBe(200);
  });

  test('own aggregation', async () => {
    await kubectl('apply -f -', `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: widgets, labels: {rbac.authorization.k8s.io/aggregate-to-view: "true"}}
rules: [{apiGroups: [example.com], resources: [widgets], verbs: [get]}]
`);
    await expect.poll(() => kubectl('get clusterrole edit -o jsonpath={.rules[*].resources}')).toContain('widgets');
    await kubectl('delete clusterrole widgets');
    await expect.poll(() => kubectl('get clusterrole admin -o jsonpath={.rules[*].resources}')).not.toContain('widgets');
  });
});
