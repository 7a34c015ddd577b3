/** Kinds that are kept for others, with the checks whose absence people would notice. */
import { storagePrefix } from '../../api/storage-key.ts';
import { at, equal, isObject, listAt, own, textAt } from '../../json.ts';
import { forbiddenField, invalidValue, required, type Cause } from '../../status.ts';
import type { Strategy } from '../strategy.ts';

/** Budgets name one of two limits. */
export const BUDGET_STRATEGY: Strategy = {
  generation: true,
  validate: (draft) => (at(draft, 'spec', 'minAvailable') !== undefined && at(draft, 'spec', 'maxUnavailable') !== undefined ? [invalidValue('spec', draft['spec'], 'minAvailable and maxUnavailable cannot be both set')] : []),
};

/** A claim's wish does not change once made, but for its size. One that names no class gets the default class. */
export const CLAIM_STRATEGY: Strategy = {
  admit(draft, { operation }, env) {
    const spec = draft['spec'];
    if (operation !== 'CREATE' || !isObject(spec)) return;
    draft.metadata['finalizers'] = [...new Set([...listAt(draft, 'metadata', 'finalizers'), 'kubernetes.io/pvc-protection'])];
    if (spec['storageClassName'] !== undefined) return;
    const classes = env.store.list(storagePrefix({ group: 'storage.k8s.io', plural: 'storageclasses' })).map((entry) => entry.object);
    const standard = classes.find((one) => one.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true');
    if (standard) spec['storageClassName'] = standard.metadata.name;
  },
  prepareCreate(draft) {
    draft['status'] = { phase: 'Pending' };
  },
  validate(draft, old) {
    const causes: Cause[] = [];
    if (listAt(draft, 'spec', 'accessModes').length === 0) causes.push(required('spec.accessModes', 'at least 1 access mode is required'));
    if (at(draft, 'spec', 'resources', 'requests', 'storage') === undefined) causes.push(required('spec.resources[storage]'));
    const fixed = (object: unknown): unknown => ({ ...(own(object, 'spec') as object | undefined), resources: undefined, volumeAttributesClassName: undefined, volumeName: undefined });
    const rebound = old && textAt(old, 'spec', 'volumeName') !== '' && textAt(old, 'spec', 'volumeName') !== textAt(draft, 'spec', 'volumeName');
    if (old && (rebound || !equal(fixed(draft), fixed(old)))) causes.push(forbiddenField('spec', 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'));
    return causes;
  },
};

/** Volumes. */
export const VOLUME_STRATEGY: Strategy = {
  prepareCreate(draft) {
    draft['status'] = { phase: 'Pending' };
  },
  validate(draft) {
    const causes: Cause[] = [];
    if (listAt(draft, 'spec', 'accessModes').length === 0) causes.push(required('spec.accessModes'));
    if (at(draft, 'spec', 'capacity', 'storage') === undefined) causes.push(required('spec.capacity'));
    return causes;
  },
};

/** Classes never change: claims were made under them. */
export const STORAGE_CLASS_STRATEGY: Strategy = {
  validate(draft, old) {
    if (!old) return textAt(draft, 'provisioner') === '' ? [required('provisioner')] : [];
    const names = ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode'];
    return names.filter((name) => !equal(own(draft, name), own(old, name))).map((name) => forbiddenField(name, 'updates to ' + name + ' are forbidden.'));
  },
};

/** Network policies say which directions they are about. */
export const NETWORK_POLICY_STRATEGY: Strategy = {
  generation: true,
  defaults(draft) {
    const spec = draft['spec'];
    if (isObject(spec) && spec['policyTypes'] === undefined) spec['policyTypes'] = listAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  },
};
