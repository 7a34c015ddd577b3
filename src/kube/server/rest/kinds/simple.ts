/** Kinds with little of their own: namespaces, nodes, secrets, config maps, events, ingresses. */
import type { KubeObject } from '../../../../objects/meta.ts';
import { at, equal, isObject, listAt, own, textAt } from '../../json.ts';
import { forbiddenField, invalidValue, required, type Cause } from '../../status.ts';
import type { Strategy } from '../strategy.ts';

const field = (...path: string[]) => (object: KubeObject): string => textAt(object, ...path);

/** Namespaces end in two steps: Terminating until the controller has emptied them and removed `spec.finalizers`. */
export const NAMESPACE_STRATEGY: Strategy = {
  names: 'label',
  fields: { 'status.phase': field('status', 'phase') },
  defaults(draft) {
    const name = textAt(draft, 'metadata', 'name');
    if (name !== '') draft.metadata['labels'] = { ...(own(draft.metadata, 'labels') as object | undefined), 'kubernetes.io/metadata.name': name };
  },
  prepareCreate(draft) {
    draft['spec'] = { finalizers: ['kubernetes'] };
    draft['status'] = { phase: 'Active' };
  },
  prepareUpdate(draft, old) {
    draft['spec'] = own(old, 'spec');
  },
  prepareDelete(draft) {
    draft['status'] = { ...(own(draft, 'status') as object | undefined), phase: 'Terminating' };
  },
  mayGo: (object) => listAt(object, 'spec', 'finalizers').length === 0,
};

export const NODE_STRATEGY: Strategy = {
  fields: { 'spec.unschedulable': (object) => String(at(object, 'spec', 'unschedulable') === true) },
};

function checkImmutableData(draft: Record<string, unknown>, old: KubeObject | undefined, names: readonly string[]): Cause[] {
  if (own(old, 'immutable') !== true) return [];
  const causes = names.filter((name) => !equal(own(draft, name), own(old, name))).map((name) => forbiddenField(name, 'field is immutable when `immutable` is set'));
  if (own(draft, 'immutable') !== true) causes.push(forbiddenField('immutable', 'field is immutable when `immutable` is set'));
  return causes;
}

function checkDataKeys(data: unknown, path: string): Cause[] {
  if (!isObject(data)) return [];
  return Object.keys(data)
    .filter((key) => !/^[-._a-zA-Z0-9]+$/.test(key) || key.length > 253 || key === '.' || key === '..')
    .map((key) => invalidValue(`${path}[${key}]`, key, "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"));
}

export const SECRET_STRATEGY: Strategy = {
  fields: { type: field('type') },
  defaults(draft) {
    const texts = own(draft, 'stringData');
    if (isObject(texts)) {
      const data = { ...(own(draft, 'data') as object | undefined) } as Record<string, unknown>;
      for (const [key, value] of Object.entries(texts)) data[key] = Buffer.from(String(value)).toString('base64');
      draft['data'] = data;
    }
    delete draft['stringData'];
  },
  validate(draft, old) {
    const causes = [...checkDataKeys(own(draft, 'data'), 'data'), ...checkImmutableData(draft, old, ['data'])];
    if (old && own(draft, 'type') !== own(old, 'type')) causes.push(invalidValue('type', own(draft, 'type'), 'field is immutable'));
    if (textAt(draft, 'type') === 'kubernetes.io/tls') for (const key of ['tls.crt', 'tls.key']) if (at(draft, 'data', key) === undefined) causes.push(required(`data[${key}]`));
    return causes;
  },
};

export const CONFIG_MAP_STRATEGY: Strategy = {
  validate: (draft, old) => [...checkDataKeys(own(draft, 'data'), 'data'), ...checkDataKeys(own(draft, 'binaryData'), 'binaryData'), ...checkImmutableData(draft, old, ['data', 'binaryData'])],
};

export const EVENT_STRATEGY: Strategy = {
  fields: {
    ...Object.fromEntries(['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map((name) => [`involvedObject.${name}`, field('involvedObject', name)])),
    reason: field('reason'),
    reportingComponent: (object) => textAt(object, 'reportingComponent') || textAt(object, 'source', 'component'),
    source: (object) => textAt(object, 'source', 'component') || textAt(object, 'reportingComponent'),
    type: field('type'),
  },
};
