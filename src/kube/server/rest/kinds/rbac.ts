import { checkBinding, checkRole } from '../../auth/rbac/escalation.ts';
import { RBAC_GROUP } from '../../auth/rbac/authorizer.ts';
import { equal, isObject, listAt, own, textAt } from '../../json.ts';
import { forbiddenField, invalidValue, notSupported, required, type Cause } from '../../status.ts';
import type { Draft } from '../context.ts';
import type { Strategy } from '../strategy.ts';

function checkRules(draft: Draft, namespaced: boolean): Cause[] {
  return listAt(draft, 'rules').flatMap((rule, index) => {
    const at = `rules[${index}]`;
    const causes: Cause[] = [];
    if (listAt(rule, 'verbs').length === 0) causes.push(required(`${at}.verbs`, 'verbs must contain at least one value'));
    if (listAt(rule, 'nonResourceURLs').length > 0) {
      if (namespaced) causes.push(invalidValue(`${at}.nonResourceURLs`, own(rule, 'nonResourceURLs'), 'namespaced rules cannot apply to non-resource URLs'));
      if (['apiGroups', 'resources', 'resourceNames'].some((field) => listAt(rule, field).length > 0)) causes.push(invalidValue(`${at}.nonResourceURLs`, own(rule, 'nonResourceURLs'), 'rules cannot apply to both regular resources and non-resource URLs'));
      return causes;
    }
    if (listAt(rule, 'apiGroups').length === 0) causes.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'));
    if (listAt(rule, 'resources').length === 0) causes.push(required(`${at}.resources`, 'resource rules must supply at least one resource'));
    return causes;
  });
}

const role = (namespaced: boolean): Strategy => ({ names: 'segment', validate: (draft) => checkRules(draft, namespaced), guard: checkRole });
/** Roles: rules must name something, and their writer must have what they give. */
export const ROLE_STRATEGY = role(true);
/** Cluster roles. */
export const CLUSTER_ROLE_STRATEGY = role(false);

const SUBJECT_KINDS = ['ServiceAccount', 'User', 'Group'];

const binding = (namespaced: boolean): Strategy => ({
  names: 'segment',
  guard: checkBinding,
  defaults(draft) {
    for (const subject of listAt(draft, 'subjects')) if (isObject(subject) && textAt(subject, 'kind') !== 'ServiceAccount') subject['apiGroup'] ??= RBAC_GROUP;
  },
  validate(draft, old) {
    const causes: Cause[] = [];
    const [kind, name] = [textAt(draft, 'roleRef', 'kind'), textAt(draft, 'roleRef', 'name')];
    const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
    if (textAt(draft, 'roleRef', 'apiGroup') !== RBAC_GROUP) causes.push(notSupported('roleRef.apiGroup', textAt(draft, 'roleRef', 'apiGroup'), [RBAC_GROUP]));
    if (!kinds.includes(kind)) causes.push(notSupported('roleRef.kind', kind, kinds));
    if (name === '') causes.push(required('roleRef.name'));
    listAt(draft, 'subjects').forEach((subject, index) => causes.push(...checkSubject(subject, `subjects[${index}]`)));
    // Who may change the role of a binding could hand its subjects another role unseen.
    if (old && !equal(own(draft, 'roleRef'), own(old, 'roleRef'))) causes.push(invalidValue('roleRef', own(draft, 'roleRef'), 'cannot change roleRef'));
    return causes;
  },
});

function checkSubject(subject: unknown, at: string): Cause[] {
  const kind = textAt(subject, 'kind');
  const causes: Cause[] = [];
  if (textAt(subject, 'name') === '') causes.push(required(`${at}.name`));
  if (!SUBJECT_KINDS.includes(kind)) causes.push(notSupported(`${at}.kind`, kind, SUBJECT_KINDS));
  else if (kind === 'ServiceAccount') {
    if (textAt(subject, 'namespace') === '') causes.push(required(`${at}.namespace`));
    if (textAt(subject, 'apiGroup') !== '') causes.push(notSupported(`${at}.apiGroup`, textAt(subject, 'apiGroup'), ['']));
  } else if (textAt(subject, 'namespace') !== '') causes.push(forbiddenField(`${at}.namespace`, `may not be specified for a ${kind}`));
  return causes;
}

/** Role bindings: the role never changes, and their writer must have what they give. */
export const ROLE_BINDING_STRATEGY = binding(true);
/** Cluster role bindings. */
export const CLUSTER_ROLE_BINDING_STRATEGY = binding(false);
