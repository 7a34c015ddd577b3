import type { KubeObject } from '../meta.ts';
import { MUTATING_WEBHOOK_CONFIGURATION, VALIDATING_WEBHOOK_CONFIGURATION } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { bytes, having, int, list, obj, oneOf, req, str, strDefault, type Infer } from '../schema/dsl.ts';
import { labelSelector } from './meta-schema.ts';

const common = {
  name: req(str()),
  clientConfig: req(obj({ url: str(), service: obj({ namespace: req(str()), name: req(str()), path: str(), port: int({ default: 443 }) }), caBundle: bytes() })),
  rules: list(
    obj({
      apiGroups: list(str(), { atomic: true }),
      apiVersions: list(str(), { atomic: true }),
      resources: list(str(), { atomic: true }),
      operations: list(str(), { atomic: true }),
      scope: strDefault('*'),
    }),
    { atomic: true },
  ),
  failurePolicy: having(oneOf('Fail', 'Ignore'), { default: 'Fail' }),
  matchPolicy: strDefault('Equivalent'),
  namespaceSelector: having(labelSelector, { default: {} }),
  objectSelector: having(labelSelector, { default: {} }),
  sideEffects: req(str()),
  timeoutSeconds: int({ default: 10 }),
  admissionReviewVersions: req(list(str(), { atomic: true })),
  matchConditions: list(obj({ name: req(str()), expression: req(str()) }), { mapKeys: ['name'] }),
};
const mutating = obj({ ...common, reinvocationPolicy: having(oneOf('Never', 'IfNeeded'), { default: 'Never' }) });
const validating = obj(common);
export type MutatingWebhook = Infer<typeof mutating>;
export type ValidatingWebhook = Infer<typeof validating>;

/** Webhooks that change objects before they are stored. @see https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/mutating-webhook-configuration-v1/ */
export interface MutatingWebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly MutatingWebhook[];
}
/** Webhooks that refuse objects. */
export interface ValidatingWebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly ValidatingWebhook[];
}

export const MUTATING_WEBHOOK_CONFIGURATION_KIND = defineKind(MUTATING_WEBHOOK_CONFIGURATION, { fields: { webhooks: list(mutating, { mapKeys: ['name'] }) } });
export const VALIDATING_WEBHOOK_CONFIGURATION_KIND = defineKind(VALIDATING_WEBHOOK_CONFIGURATION, { fields: { webhooks: list(validating, { mapKeys: ['name'] }) } });
