// Templates of the user: Go templates in `sidecarInjectorWebhook.templates`.
import { parse } from 'yaml';
import { INJECTION_FUNCTIONS } from './go-template/functions.ts';
import { parseGoTemplate, type GoTemplate } from './go-template/parse.ts';
import { renderGoTemplate } from './go-template/render.ts';
import { imageOf, proxyValues, type TemplateInput, type TemplateResult } from './template-input.ts';
import type { JsonObject, PodMeta } from './types.ts';

/** Parsed templates by their text: a webhook renders the same few for every pod. */
const parsed = new Map<string, GoTemplate>();
const MAX_PARSED = 32;

/** Renders one template; throws a plain sentence when it is none, or when what it writes is no pod. */
export function renderCustom(text: string, input: TemplateInput): TemplateResult {
  let template = parsed.get(text);
  if (!template) {
    template = parseGoTemplate(text);
    if (parsed.size >= MAX_PARSED) parsed.clear();
    parsed.set(text, template);
  }
  const pod: unknown = parse(renderGoTemplate(template, dataOf(input), INJECTION_FUNCTIONS)) ?? {};
  if (typeof pod !== 'object' || pod === null || Array.isArray(pod)) throw new Error('it does not write a pod');
  const { metadata, spec } = pod as { metadata?: PodMeta | null; spec?: JsonObject | null };
  return { labels: strings(metadata?.labels), annotations: strings(metadata?.annotations), spec: (spec ?? {}) as TemplateResult['spec'] };
}

function strings(map: Readonly<Record<string, unknown>> | null | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(map ?? {}).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]));
}

/** What templates see, under Istio's names. @see https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/#template-variables */
function dataOf(input: TemplateInput): JsonObject {
  const { owner, context, pod } = input;
  return {
    TypeMeta: { kind: owner.kind, apiVersion: owner.apiVersion },
    DeploymentMeta: { name: owner.name, namespace: owner.namespace },
    ObjectMeta: { ...pod.metadata, labels: input.labels, annotations: input.annotations },
    Spec: { ...pod.spec, containers: pod.spec?.containers ?? [] },
    ProxyConfig: { ...input.proxyConfig.own, interceptionMode: input.proxyConfig.interceptionMode, statusPort: input.proxyConfig.statusPort, proxyMetadata: input.proxyConfig.proxyMetadata },
    MeshConfig: context.meshConfig as unknown as JsonObject,
    Values: context.values as unknown as JsonObject,
    Revision: context.revision ?? '',
    ProxyImage: imageOf(input, proxyValues(input).image),
    ProxyUID: input.proxyUid, ProxyGID: input.proxyGid, NativeSidecars: input.nativeSidecar, CompliancePolicy: context.env?.['COMPLIANCE_POLICY'] ?? '',
    EstimatedConcurrency: input.proxyConfig.concurrency ?? 0,
  };
}
