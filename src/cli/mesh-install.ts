/** Installs a mesh through the API, step by step, and puts Bookinfo into it: what `install` and `up` share. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mutatingWebhookConfiguration, validatingWebhookConfiguration } from '../admission/webhook-configuration.ts';
import { applyObjects, applyStep, ownerOf, parseManifests, pruneInstallation, waitForDeployment, type ResourceLookup } from '../install/apply.ts';
import { installSteps, type InstallStep } from '../install/manifests.ts';
import type { OperatorSpec } from '../install/operator.ts';
import { crdOf } from '../kube/server/api/crd.ts';
import type { KubeClient } from '../kube/client/client.ts';
import type { Namespace } from '../objects/kubernetes/namespace.ts';
import type { KubeObject } from '../objects/meta.ts';
import { LEGACY_KINDS } from '../objects/istio/legacy/kinds.ts';
import { KINDS } from '../objects/registry.ts';
import { NAMESPACE } from '../objects/resource-types.ts';

/** Resources by the registry of all kinds we know. */
export const lookupResource: ResourceLookup = (object) => {
  const [group, version] = object.apiVersion.includes('/') ? (object.apiVersion.split('/') as [string, string]) : ['', object.apiVersion];
  const info = KINDS.find((kind) => kind.group === group && kind.kind === object.kind && kind.versions.includes(version));
  return info && { group, version, kind: info.kind, plural: info.plural, namespaced: info.namespaced };
};

/** Version of this build, and the tag of its images. */
export const VERSION = process.env['MELTEMI_BUILD_VERSION'] ?? '0.0.0';

export function meshSteps(spec: OperatorSpec): readonly InstallStep[] {
  const crds = KINDS.filter((kind) => kind.custom).map((kind) => (LEGACY_KINDS.includes(kind) ? withoutFinding(crdOf(kind)) : crdOf(kind)));
  const webhooks = [mutatingWebhookConfiguration(), validatingWebhookConfiguration()] as unknown as readonly KubeObject[];
  return installSteps(spec, { version: VERSION, crds, webhooks });
}

/** `analyze` finds definitions of kinds that Istio gave up; these are ours, and work. */
function withoutFinding(definition: KubeObject): KubeObject {
  return { ...definition, metadata: { ...definition.metadata, annotations: { 'galley.istio.io/analyze-suppress': 'IST0002' } } };
}

export interface MeshInstallation {
  readonly spec: OperatorSpec;
  /** Of the IstioOperator document; absent: the usual installation. */
  readonly name?: string;
}

/** Applies every step in order, then removes what an earlier installation had more; `onStep` is told when one is done. Rejects with what was not ready in time. Returns what was removed. */
export async function installMesh(client: KubeClient, { spec, name }: MeshInstallation, onStep: (title: string) => void, timeoutMs = 120_000): Promise<readonly string[]> {
  const steps = meshSteps(spec);
  const owner = ownerOf(spec, name);
  for (const step of steps) {
    await applyStep(client, step, { lookup: lookupResource, owner, timeoutMs });
    onStep(step.title);
  }
  return pruneInstallation(client, steps.flatMap((step) => step.objects), owner);
}

/** Names of samples that `up --deploy` knows, with their manifests and the deployments to wait for. */
const SAMPLES: Readonly<Record<string, { readonly files: readonly string[]; readonly deployments: readonly string[] }>> = {
  bookinfo: {
    files: ['bookinfo/platform/kube/bookinfo.yaml', 'bookinfo/networking/bookinfo-gateway.yaml'],
    deployments: ['details-v1', 'ratings-v1', 'reviews-v1', 'reviews-v2', 'reviews-v3', 'productpage-v1'],
  },
  httpbin: { files: ['httpbin/httpbin.yaml', 'httpbin/httpbin-gateway.yaml'], deployments: ['httpbin'] },
};

export const SAMPLE_NAMES: readonly string[] = Object.keys(SAMPLES);

/** Folder of the samples: beside the built program. */
export function samplesDirectory(): string {
  return join(import.meta.dirname, '..', 'samples');
}

/** With the note in which `kubectl apply` keeps what it applied: lessons go on with kubectl, which would warn about every object otherwise. */
function asKubectlApplies(object: KubeObject): KubeObject {
  const { annotations = {}, ...metadata } = object.metadata;
  const applied = `${JSON.stringify({ ...object, metadata: { ...metadata, annotations } })}\n`;
  return { ...object, metadata: { ...metadata, annotations: { ...annotations, 'kubectl.kubernetes.io/last-applied-configuration': applied } } };
}

/** Labels a namespace for injection and applies a sample to it; resolves when its deployments are available. */
export async function deploySample(client: KubeClient, name: string, namespace = 'default', timeoutMs = 120_000): Promise<void> {
  const sample = Object.hasOwn(SAMPLES, name) ? SAMPLES[name] : undefined;
  if (!sample) throw new Error(`unknown sample "${name}": one of ${SAMPLE_NAMES.join(', ')}`);
  await client.mergePatch<Namespace>(NAMESPACE, namespace, undefined, { metadata: { labels: { 'istio-injection': 'enabled' } } });
  for (const file of sample.files) {
    const text = readFileSync(join(samplesDirectory(), file), 'utf8');
    await applyObjects(client, parseManifests(text, namespace, lookupResource).map(asKubectlApplies), lookupResource);
  }
  await Promise.all(sample.deployments.map((deployment) => waitForDeployment(client, namespace, deployment, timeoutMs)));
}
