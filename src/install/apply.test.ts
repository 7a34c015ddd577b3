import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeClient } from '../kube/client/client.ts';
import { startTestServer, type TestServer } from '../kube/server/testing.ts';
import type { KubeObject } from '../objects/meta.ts';
import { KINDS } from '../objects/registry.ts';
import { DEPLOYMENT, SERVICE_ACCOUNT } from '../objects/resource-types.ts';
import { applyStep, ownerOf, pruneInstallation, type ResourceLookup } from './apply.ts';
import { installSteps } from './manifests.ts';
import { operatorSpec, type OperatorSpec } from './operator.ts';

let api: TestServer;
let client: KubeClient;
beforeAll(async () => {
  api = await startTestServer();
  client = api.client;
});
afterAll(() => api.close());

const lookup: ResourceLookup = (object) => {
  const kind = KINDS.find((candidate) => candidate.kind === object.kind && object.apiVersion === (candidate.group ? `${candidate.group}/${candidate.versions[0]}` : candidate.versions[0]));
  return kind && { group: kind.group, version: kind.versions[0]!, kind: kind.kind, plural: kind.plural, namespaced: kind.namespaced };
};

function specOf(profile: string, document = {}): OperatorSpec {
  const result = operatorSpec([`profile=${profile}`], document);
  if ('issues' in result) throw new Error(result.issues[0]!.message);
  return result.spec;
}

async function install(spec: OperatorSpec, name?: string): Promise<readonly string[]> {
  const owner = ownerOf(spec, name);
  const objects: KubeObject[] = [];
  for (const step of installSteps(spec, { version: '1', crds: [], webhooks: [] })) {
    // Nothing runs here: what would be waited for is not the question.
    await applyStep(client, { ...step, waitFor: [] }, { lookup, owner, timeoutMs: 1000 });
    objects.push(...step.objects);
  }
  return pruneInstallation(client, objects, owner);
}

const deployments = async () => (await client.list<KubeObject>(DEPLOYMENT, { namespace: 'istio-system' })).items.map(({ metadata }) => metadata.name).toSorted();

test('an installation removes what the last one had more, and nothing of others', async () => {
  expect(await install(specOf('demo'))).toEqual([]);
  await client.create(SERVICE_ACCOUNT, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'of-a-user', namespace: 'istio-system' } });
  const extra = specOf('empty', { components: { ingressGateways: [{ name: 'inner', enabled: true }] } });
  expect(await install(extra, 'inner-gateway')).toEqual([]);
  expect(await deployments()).toEqual(['inner', 'istio-egressgateway', 'istio-ingressgateway', 'istiod']);

  const removed = await install(specOf('minimal'));
  expect(removed).toContain('Deployment istio-system/istio-egressgateway');
  expect(removed).toContain('ServiceAccount istio-system/istio-ingressgateway-service-account');
  expect(await deployments()).toEqual(['inner', 'istiod']);
  expect(await client.get(SERVICE_ACCOUNT, 'of-a-user', 'istio-system')).toBeDefined();

  expect(await install(specOf('demo'))).toEqual([]);
  expect(await deployments()).toEqual(['inner', 'istio-egressgateway', 'istio-ingressgateway', 'istiod']);
});
