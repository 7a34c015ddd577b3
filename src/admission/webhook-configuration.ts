// The webhook configurations an installation creates: which pods and objects the API server sends us.
import type { Json, JsonObject } from './inject/types.ts';

/** Where and for whom the webhooks run. */
export interface WebhookOptions {
  /** Revision of the control plane; empty is the default one. */
  readonly revision?: string;
  /** Namespace of istiod. Default `istio-system`. */
  readonly namespace?: string;
  /** Base64 of the PEM roots that signed the webhook's certificate. Empty until the control plane patches it in. */
  readonly caBundle?: string;
  /** Inject namespaces that say nothing. Default false. */
  readonly enableNamespacesByDefault?: boolean;
}

type Expression = { readonly key: string; readonly operator: string; readonly values?: readonly string[] };
type Selector = { readonly matchExpressions: readonly Expression[] };

const inValues = (key: string, ...values: string[]): Expression => ({ key, operator: 'In', values });
const notIn = (key: string, ...values: string[]): Expression => ({ key, operator: 'NotIn', values });
const absent = (key: string): Expression => ({ key, operator: 'DoesNotExist' });

/**
 * `istio-sidecar-injector[-rev]`: four rules. A namespace or a pod names a revision, or (default revision only) says `istio-injection=enabled` or
 * `sidecar.istio.io/inject=true`; what says no is never sent.
 * @see https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/#controlling-the-injection-policy
 */
export function mutatingWebhookConfiguration(options: WebhookOptions = {}): JsonObject {
  const { revision = '', namespace = 'istio-system', caBundle = '', enableNamespacesByDefault = false } = options;
  const rev = revision === '' ? 'default' : revision;
  const suffix = `sidecar-injector.istio.io`;
  const inject = 'sidecar.istio.io/inject';
  const webhook = (prefix: string, namespaceSelector: Selector, objectSelector: Selector): Json => ({
    name: `${prefix}${suffix}`,
    clientConfig: clientConfig(serviceName(revision), namespace, '/inject', caBundle),
    sideEffects: 'None', rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], scope: '*' }],
    failurePolicy: 'Fail', reinvocationPolicy: 'Never', matchPolicy: 'Equivalent', timeoutSeconds: 10, admissionReviewVersions: ['v1'],
    namespaceSelector: namespaceSelector as unknown as Json, objectSelector: objectSelector as unknown as Json,
  });
  const webhooks: Json[] = [
    webhook('rev.namespace.', { matchExpressions: [inValues('istio.io/rev', rev), absent('istio-injection')] }, { matchExpressions: [notIn(inject, 'false')] }),
    webhook('rev.object.', { matchExpressions: [absent('istio.io/rev'), absent('istio-injection')] }, { matchExpressions: [notIn(inject, 'false'), inValues('istio.io/rev', rev)] }),
  ];
  if (rev === 'default') {
    webhooks.push(
      webhook('namespace.', { matchExpressions: [inValues('istio-injection', 'enabled')] }, { matchExpressions: [notIn(inject, 'false')] }),
      webhook('object.', { matchExpressions: [absent('istio-injection'), absent('istio.io/rev')] }, { matchExpressions: [inValues(inject, 'true'), absent('istio.io/rev')] }),
    );
    if (enableNamespacesByDefault)
      webhooks.push(webhook('auto.', { matchExpressions: [absent('istio-injection'), absent('istio.io/rev'), notIn('kubernetes.io/metadata.name', 'kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage')] }, { matchExpressions: [absent(inject), absent('istio.io/rev')] }));
  }
  return {
    apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration',
    metadata: { name: revision === '' || revision === 'default' ? 'istio-sidecar-injector' : `istio-sidecar-injector-${revision}`, labels: labels(rev, 'sidecar-injector') },
    webhooks,
  };
}

/** `istio-validator[-rev]-<namespace>`: every Istio object of this revision, refused or warned about before it is stored. */
export function validatingWebhookConfiguration(options: WebhookOptions = {}): JsonObject {
  const { revision = '', namespace = 'istio-system', caBundle = '' } = options;
  const rev = revision === '' ? 'default' : revision;
  return {
    apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingWebhookConfiguration',
    metadata: { name: `istio-validator${revision === '' || revision === 'default' ? '' : `-${revision}`}-${namespace}`, labels: { ...labels(rev, 'istiod'), istio: 'istiod' } },
    webhooks: [{
      name: 'rev.validation.istio.io',
      clientConfig: clientConfig(serviceName(revision), namespace, '/validate', caBundle),
      rules: [{
        operations: ['CREATE', 'UPDATE'], apiGroups: ['security.istio.io', 'networking.istio.io', 'telemetry.istio.io', 'extensions.istio.io', 'authentication.istio.io', 'rbac.istio.io'], apiVersions: ['*'], resources: ['*'], scope: '*',
      }],
      // Becomes Fail once the control plane answers: until then a missing webhook must not block the installation itself.
      failurePolicy: 'Ignore', sideEffects: 'None', matchPolicy: 'Equivalent', timeoutSeconds: 10, admissionReviewVersions: ['v1'],
      namespaceSelector: {},
      objectSelector: { matchExpressions: (rev === 'default' ? [] : [inValues('istio.io/rev', rev)]) as unknown as Json },
    }],
  };
}

function serviceName(revision: string): string {
  return revision === '' || revision === 'default' ? 'istiod' : `istiod-${revision}`;
}

function clientConfig(name: string, namespace: string, path: string, caBundle: string): JsonObject {
  return { service: { name, namespace, path, port: 443 }, ...(caBundle === '' ? {} : { caBundle }) };
}

function labels(revision: string, app: string): Record<string, string> {
  return { app, 'istio.io/rev': revision, 'app.kubernetes.io/name': 'istiod', 'app.kubernetes.io/part-of': 'istio', 'app.kubernetes.io/managed-by': 'meltemi' };
}
