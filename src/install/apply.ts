/** Applies manifests to any Kubernetes API and waits until what they start is ready. */
import { parseAllDocuments } from 'yaml';
import type { Deployment } from '../objects/kubernetes/deployment.ts';
import type { KubeObject } from '../objects/meta.ts';
import type { ResourceType } from '../objects/kind.ts';
import {
  CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, MUTATING_WEBHOOK_CONFIGURATION, ROLE, ROLE_BINDING, SERVICE, SERVICE_ACCOUNT,
  VALIDATING_WEBHOOK_CONFIGURATION,
} from '../objects/resource-types.ts';
import { ApiError, type KubeClient } from '../kube/client/client.ts';
import { messageOf } from '../base/errors.ts';
import type { InstallStep } from './manifests.ts';
import type { OperatorSpec } from './operator.ts';

export const FIELD_MANAGER = 'meltemi-installer';

/** Says which installation an object belongs to, so that the next one removes what it does not have any more. */
const OWNER_LABEL = 'install.operator.istio.io/owning-resource';

/** Value of the owner's label: the name of the IstioOperator document, so that gateways installed by a document of their own are not removed by the next one. */
export function ownerOf(spec: OperatorSpec, name = 'installed-state'): string {
  return spec.revision ? `${name}-${spec.revision}` : name;
}

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

export interface StepOptions {
  readonly lookup: ResourceLookup;
  /** Of {@link ownerOf}. */
  readonly owner: string;
  readonly timeoutMs: number;
}

/** Applies one step and resolves when its deployments are available; rejects after `timeoutMs` with what is missing. */
export async function applyStep(client: KubeClient, step: InstallStep, options: StepOptions): Promise<void> {
  const { lookup, owner, timeoutMs } = options;
  await applyObjects(client, step.objects.map((object) => ({ ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, [OWNER_LABEL]: owner } } })), lookup);
  await Promise.all(step.waitFor.map(({ namespace, name }) => waitForDeployment(client, namespace, name, timeoutMs)));
}

/** What leaves with its component, dependents first. Definitions and namespaces stay: with them would go what users wrote. */
const PRUNED = [DEPLOYMENT, SERVICE, MUTATING_WEBHOOK_CONFIGURATION, VALIDATING_WEBHOOK_CONFIGURATION, ROLE_BINDING, ROLE, CLUSTER_ROLE_BINDING, CLUSTER_ROLE, CONFIG_MAP, SERVICE_ACCOUNT];

/** Removes what an earlier installation with the same owner applied and this one (`kept`) does not have. Returns `Kind namespace/name` of what went. */
export async function pruneInstallation(client: KubeClient, kept: readonly KubeObject[], owner: string): Promise<readonly string[]> {
  const nameOf = (kind: string, { metadata }: KubeObject) => `${kind} ${metadata.namespace ? `${metadata.namespace}/` : ''}${metadata.name}`;
  const wanted = new Set(kept.map((object) => nameOf(object.kind, object)));
  const removed: string[] = [];
  for (const type of PRUNED) {
    const { items } = await client.list(type, { labelSelector: `${OWNER_LABEL}=${owner}` }).catch(nothingServed);
    for (const object of items) {
      const name = nameOf(type.kind, object);
      if (wanted.has(name)) continue;
      await client.delete(type, object.metadata.name, object.metadata.namespace);
      removed.push(name);
    }
  }
  return removed;
}

/** An API server without a kind has nothing of it. */
function nothingServed(error: unknown): { readonly items: readonly KubeObject[] } {
  if (error instanceof ApiError && error.code === 404) return { items: [] };
  throw error;
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
