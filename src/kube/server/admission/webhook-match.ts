/** Which webhooks a request is for. Pure. */
import { apiVersionOf } from '../../../objects/kind.ts';
import type { LabelSelector } from '../../../objects/meta.ts';
import type { Resource, ResourceTable } from '../api/resources.ts';
import { at, listAt, own, textAt } from '../json.ts';
import { matcherOf } from '../selectors.ts';
import type { AdmissionAttributes } from '../rest/context.ts';

type Labels = Readonly<Record<string, string>> | undefined;

/** The resource, in the version a webhook asked for, that makes a webhook match; undefined when none does. */
export function matchedResource(webhook: unknown, attributes: AdmissionAttributes, resources: ResourceTable): Resource | undefined {
  const { resource } = attributes;
  const rules = listAt(webhook, 'rules');
  if (rules.some((rule) => ruleMatches(rule, resource, attributes))) return resource;
  if (textAt(webhook, 'matchPolicy') === 'Exact') return undefined;
  // Equivalent: the webhook may know the kind by another of its versions.
  return resources.all().find((other) => other !== resource && other.group === resource.group && other.plural === resource.plural && rules.some((rule) => ruleMatches(rule, other, attributes)));
}

function ruleMatches(rule: unknown, resource: Resource, { operation, subresource }: AdmissionAttributes): boolean {
  const has = (field: string, value: string): boolean => listAt(rule, field).some((one) => one === '*' || one === value);
  if (!has('operations', operation) || !has('apiGroups', resource.group) || !has('apiVersions', resource.version)) return false;
  const scope = textAt(rule, 'scope') || '*';
  if (scope !== '*' && (scope === 'Namespaced') !== resource.namespaced) return false;
  return listAt(rule, 'resources').some((pattern) => {
    const [plural, sub = ''] = String(pattern).split('/');
    return (plural === '*' || plural === resource.plural) && (sub === '*' || sub === subresource || (String(pattern) === '*' && subresource === ''));
  });
}

/** Whether the selectors of a webhook choose the object. `namespaceLabels` of the object's namespace. */
export function selectorsMatch(webhook: unknown, attributes: AdmissionAttributes, object: unknown, namespaceLabels: Labels): boolean {
  const labelsOf = (one: unknown): Labels => at(one, 'metadata', 'labels') as Labels;
  const { resource, namespace } = attributes;
  const isNamespace = resource.group === '' && resource.kind === 'Namespace';
  if (namespace !== undefined || isNamespace) {
    const matches = matcherOf(own(webhook, 'namespaceSelector') as LabelSelector | undefined, true);
    if (!matches(isNamespace ? labelsOf(object ?? attributes.old) : namespaceLabels)) return false;
  }
  const matches = matcherOf(own(webhook, 'objectSelector') as LabelSelector | undefined, true);
  return (object !== undefined && matches(labelsOf(object))) || (attributes.old !== undefined && matches(labelsOf(attributes.old)));
}

/** A request as a webhook sees it: the objects in the version it matched; null where there is none. */
export interface Matched {
  readonly resource: Resource;
  readonly object: unknown;
  readonly old: unknown;
}

/** The AdmissionReview request of a webhook. */
export function reviewOf(uid: string, attributes: AdmissionAttributes, { resource: matched, object, old }: Matched): Record<string, unknown> {
  const { resource, subresource, namespace, name, operation, context } = attributes;
  const kindOf = (one: Resource) => ({ group: one.group, version: one.version, kind: one.kind });
  const resourceOf = (one: Resource) => ({ group: one.group, version: one.version, resource: one.plural });
  const sub = subresource ? { subResource: subresource } : {};
  return {
    kind: 'AdmissionReview',
    apiVersion: apiVersionOf({ group: 'admission.k8s.io', version: 'v1' }),
    request: {
      uid,
      kind: kindOf(matched),
      resource: resourceOf(matched),
      ...sub,
      requestKind: kindOf(resource),
      requestResource: resourceOf(resource),
      ...(subresource ? { requestSubResource: subresource } : {}),
      ...(name ? { name } : {}),
      ...(namespace === undefined ? {} : { namespace }),
      operation,
      userInfo: context.user,
      object,
      oldObject: old,
      dryRun: context.dryRun,
      options: context.options ?? { kind: `${operation === 'CREATE' ? 'Create' : operation === 'UPDATE' ? 'Update' : 'Delete'}Options`, apiVersion: 'meta.k8s.io/v1' },
    },
  };
}
