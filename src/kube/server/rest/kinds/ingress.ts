/** Ingresses, and the rewriting of v1beta1's spellings into v1's. */
import { at, isObject, listAt, own, textAt } from '../../json.ts';
import { forbiddenField, invalidValue, notSupported, required, type Cause } from '../../status.ts';
import type { Strategy } from '../strategy.ts';

/** Every backend of a spec with its path. */
function backendsOf(spec: unknown): readonly (readonly [string, unknown])[] {
  const paths = listAt(spec, 'rules').flatMap((rule, index) => listAt(rule, 'http', 'paths').map((path, inner) => [`spec.rules[${index}].http.paths[${inner}]`, path] as const));
  return [['spec.defaultBackend', own(spec, 'defaultBackend')] as const, ...paths.map(([where, path]) => [`${where}.backend`, own(path, 'backend')] as const)];
}

/** `serviceName` and `servicePort` → `service`. */
function modernizeBackend(backend: unknown): void {
  if (!isObject(backend) || typeof backend['serviceName'] !== 'string') return;
  const port = backend['servicePort'];
  backend['service'] ??= { name: backend['serviceName'], ...(port === undefined ? {} : { port: typeof port === 'number' ? { number: port } : /^\d+$/.test(String(port)) ? { number: Number(port) } : { name: port } }) };
  delete backend['serviceName'];
  delete backend['servicePort'];
}

/** @see https://kubernetes.io/docs/reference/using-api/deprecation-guide/#ingress-v122 */
function modernize(spec: unknown): void {
  if (!isObject(spec)) return;
  if (spec['backend'] !== undefined) {
    spec['defaultBackend'] ??= spec['backend'];
    delete spec['backend'];
  }
  for (const rule of listAt(spec, 'rules'))
    for (const path of listAt(rule, 'http', 'paths')) if (isObject(path)) path['pathType'] ??= 'ImplementationSpecific';
  for (const [, backend] of backendsOf(spec)) modernizeBackend(backend);
}

export const INGRESS_STRATEGY: Strategy = {
  generation: true,
  defaults(draft) {
    if (textAt(draft, 'apiVersion').endsWith('/v1beta1')) modernize(own(draft, 'spec'));
  },
  validate(draft) {
    const causes: Cause[] = [];
    const spec = own(draft, 'spec');
    const rules = listAt(draft, 'spec', 'rules');
    if (own(spec, 'backend') !== undefined) causes.push(forbiddenField('spec.backend', 'the field of v1beta1 is defaultBackend in networking.k8s.io/v1'));
    for (const [where, backend] of backendsOf(spec))
      if (own(backend, 'serviceName') !== undefined) causes.push(forbiddenField(`${where}.serviceName`, `the fields of v1beta1 are service: {name: ${textAt(backend, 'serviceName')}, port: {number: …}} in networking.k8s.io/v1`));
    if (rules.length === 0 && at(draft, 'spec', 'defaultBackend') === undefined) causes.push(invalidValue('spec', spec ?? {}, 'either `defaultBackend` or `rules` must be specified'));
    rules.forEach((rule, index) => {
      listAt(rule, 'http', 'paths').forEach((path, inner) => {
        const where = `spec.rules[${index}].http.paths[${inner}]`;
        const type = textAt(path, 'pathType');
        if (type === '') causes.push(required(`${where}.pathType`, 'pathType must be specified'));
        else if (!['Exact', 'Prefix', 'ImplementationSpecific'].includes(type)) causes.push(notSupported(`${where}.pathType`, type, ['Exact', 'ImplementationSpecific', 'Prefix']));
        const text = textAt(path, 'path');
        if (type !== 'ImplementationSpecific' && !text.startsWith('/')) causes.push(invalidValue(`${where}.path`, text, 'must be an absolute path'));
      });
    });
    return causes;
  },
};
