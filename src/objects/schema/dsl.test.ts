import { expect, expectTypeOf, test } from 'vitest';
import type { Pod } from '../kubernetes/pod.ts';
import type { Service } from '../kubernetes/service.ts';
import { list, obj, req, str, type Infer } from './dsl.ts';

test('a schema carries the type of its values', () => {
  const schema = obj({ name: req(str()), tags: list(str(), { set: true }) });
  expectTypeOf<Infer<typeof schema>>().toEqualTypeOf<{ readonly name: string; readonly tags?: readonly string[] }>();
  expect(schema).toEqual({
    type: 'object',
    properties: { name: { type: 'string' }, tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' } },
    required: ['name'],
  });
});

test('the types of kinds are exact', () => {
  expectTypeOf<Pod['spec']['containers'][number]['name']>().toEqualTypeOf<string>();
  expectTypeOf<NonNullable<Service['spec']['type']>>().toEqualTypeOf<'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'>();
});
