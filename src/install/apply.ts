/** Applies manifests to any Kubernetes API and waits until what they start is ready. */
import { parseAllDocuments } from 'yaml';
import type { Deployment } from '../objects/kubernetes/deployment.ts';
import type { KubeObject } from '../objects/meta.ts';
import type { ResourceType } from '../objects/kind.ts';
import { DEPLOYMENT } from '../objects/resource-types.ts';
import type { KubeClient } from '../kube/client/client.ts';
import { messageOf } from '../base/errors.ts';
import type { InstallStep } from './manifests.ts';

export const FIELD_MANAGER = 'meltemi-installer';

/** Finds the resource of an object's apiVersion and kind, or undefined when the kind is not known. */
export type ResourceLookup = (object: KubeObject) => ResourceType | undefined;

/** Applies objects in order; an API server that is not ready for a new kind yet is asked again for up to ten seconds. */
export async function applyObjects(client: KubeClient, objects: readonly KubeObject[], lookup: ResourceLookup): Promise<void> {
  for (const object of objects) {
    const type = lookup(object);
    if (!type) throw new Error(`${object.kind} ${object.metadata.name}: no kind "${object.kind}" in ${object.apiVersion}`);
    await retry(() => client.apply(type, object, { fieldManager: FIELD_MANAGER }), 10_000, `${object.kind} ${object.metadata.name}`);
  }
}

/** Applies one step and resolves when its deployments are available; rejects after `timeoutMs` with what is missing. */
export async function applyStep(client: KubeClient, step: InstallStep, lookup: ResourceLookup, timeoutMs: number): Promise<void> {
  await applyObjects(client, step.objects, lookup);
  await Promise.all(step.waitFor.map(({ namespace, name }) => waitForDeployment(client, namespace, name, timeoutMs)));
}

/** Resolves when the deployment has all its replicas updated and available. */
export async function waitForDeployment(client: KubeClient, namespace: string, name: string, timeoutMs: number): Promise<void> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const deployment = await client.get<Deployment>(DEPLOYMENT, name, namespace);
    if (deployment && isAvailable(deployment)) return;
    if (Date.now() > until) throw new Error(`deployment ${namespace}/${name} was not ready within ${timeoutMs / 1000} s: ${deployment?.status?.availableReplicas ?? 0} of ${deployment?.spec.replicas ?? 1} pods are available; see: kubectl -n ${namespace} describe pods`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** As `kubectl rollout status` judges it. */
export function isAvailable(deployment: Deployment): boolean {
  const wanted = deployment.spec.replicas ?? 1;
  const { observedGeneration = 0, updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = deployment.status ?? {};
  return observedGeneration >= (deployment.metadata.generation ?? 1) && updatedReplicas === wanted && availableReplicas === wanted && replicas === wanted;
}

/** The objects of a multi-document YAML text; namespaced objects without a namespace get the given one. Throws with line numbers when the text is not YAML. */
export function parseManifests(text: string, namespace: string, lookup: ResourceLookup): readonly KubeObject[] {
  const objects: KubeObject[] = [];
  for (const document of parseAllDocuments(text)) {
    if (document.errors.length > 0) throw new Error(document.errors[0]!.message);
    const object = document.toJS({ maxAliasCount: 100 }) as KubeObject | null;
    if (!object) continue;
    const type = lookup(object);
    objects.push(type?.namespaced && !object.metadata.namespace ? { ...object, metadata: { ...object.metadata, namespace } } : object);
  }
  return objects;
}

async function retry<T>(action: () => Promise<T>, forMs: number, what: string): Promise<T> {
  const until = Date.now() + forMs;
  for (let delayMs = 50; ; delayMs = Math.min(1000, delayMs * 2)) {
    try {
      return await action();
    } catch (error) {
      const transient = error instanceof Error && /not found the requested resource|could not find|ECONN|failed calling webhook/i.test(error.message);
      if (!transient || Date.now() + delayMs > until) throw new Error(`${what}: ${messageOf(error)}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}
