import { expect, test } from 'vitest';
import { DEPLOYMENT_KIND } from '../kubernetes/deployment.ts';
import { VIRTUAL_SERVICE_KIND } from '../istio/virtual-service.ts';
import { applyDefaults } from './defaults.ts';
import { anyObject, int, intOrString, list, map, obj, oneOf, req, str, type Of } from './dsl.ts';
import { formatFieldError } from './field-error.ts';
import { prune, unknownFields } from './prune.ts';
import type { Schema } from './schema.ts';
import { respell } from './spelling.ts';
import { validateSchema } from './validate.ts';

const schema = obj({
  name: req(str({ maxLength: 5, pattern: '^[a-z]*$' })),
  replicas: int({ default: 1, minimum: 0 }),
  port: intOrString(),
  mode: oneOf('A', 'B'),
  labels: map(str()),
  items: list(obj({ key: req(str()), protocol: str({ default: 'TCP' }) }), { mapKeys: ['key', 'protocol'] }),
  tags: list(str(), { set: true }),
  nested: obj({ deep: int({ default: 7 }) }, { default: {} }),
  time: str({ nullable: true }),
  any: anyObject(),
});
const errorsOf = (value: unknown, by: Schema = schema): string[] => validateSchema(by, value, 'spec').map(formatFieldError);

test('defaults fill absent fields, replace nulls and leave the input alone', () => {
  const input = { name: 'a', replicas: null, mode: null, time: null, items: [{ key: 'x' }], labels: { a: null, b: 'c' } };
  const copy = structuredClone(input);
  expect(applyDefaults(schema, input)).toEqual({
    name: 'a', replicas: 1, time: null, items: [{ key: 'x', protocol: 'TCP' }], labels: { b: 'c' }, nested: { deep: 7 },
  });
  expect(input).toEqual(copy);
  const full = applyDefaults(schema, input);
  expect(applyDefaults(schema, full)).toBe(full);
});

test('a default value is never shared between objects', () => {
  const a = applyDefaults(obj({ x: list(str(), {}, { default: [] }) }), {}) as { x: string[] };
  const b = applyDefaults(obj({ x: list(str(), {}, { default: [] }) }), {}) as { x: string[] };
  expect(a.x).not.toBe(b.x);
});

test('pruning drops what the schema does not know', () => {
  const value = { apiVersion: 'v1', kind: 'K', metadata: { name: 'x' }, name: 'a', foo: 1, items: [{ key: 'x', bar: {} }], any: { kept: 1 }, labels: { free: 'x' } };
  const { value: kept, dropped } = prune(schema, value);
  expect(dropped).toEqual(['foo', 'items[0].bar']);
  expect(kept).toEqual({ apiVersion: 'v1', kind: 'K', metadata: { name: 'x' }, name: 'a', items: [{ key: 'x' }], any: { kept: 1 }, labels: { free: 'x' } });
  expect(prune(schema, kept).value).toBe(kept);
});

test('names of object prototypes are ordinary names', () => {
  const value = JSON.parse('{"name":"a","__proto__":{"polluted":1},"constructor":2,"labels":{"__proto__":"x"}}') as object;
  expect(prune(schema, value).dropped).toEqual(['__proto__', 'constructor']);
  const defaulted = applyDefaults(schema, value);
  expect(Object.hasOwn((defaulted as { labels: object }).labels, '__proto__')).toBe(true);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
  expect(errorsOf(JSON.parse('{"__proto__":{"name":"a"}}'))).toEqual(['spec.name: Required value']);
});

test.each<[string, unknown, string[]]>([
  ['nothing wrong', { name: 'a', port: 80, tags: ['a', 'b'] }, []],
  ['int or string', { name: 'a', port: 'http' }, []],
  ['required', {}, ['spec.name: Required value']],
  ['required, null', { name: null }, ['spec.name: Required value']],
  ['type', { name: 'a', replicas: 'x' }, ['spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"']],
  ['fraction', { name: 'a', replicas: 1.5 }, ['spec.replicas: Invalid value: "number": spec.replicas in body must be of type integer: "number"']],
  ['list for object', { name: 'a', labels: [] }, ['spec.labels: Invalid value: "array": spec.labels in body must be of type object: "array"']],
  ['int or string, boolean', { name: 'a', port: true }, ['spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"']],
  ['enum', { name: 'a', mode: 'C' }, ['spec.mode: Unsupported value: "C": supported values: "A", "B"']],
  ['pattern', { name: 'A' }, [`spec.name: Invalid value: "A": spec.name in body should match '^[a-z]*$'`]],
  ['length', { name: 'abcdef' }, ['spec.name: Too long: may not be more than 5 bytes']],
  ['minimum', { name: 'a', replicas: -1 }, ['spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0']],
  ['map value', { name: 'a', labels: { x: 1 } }, ['spec.labels.x: Invalid value: "integer": spec.labels.x in body must be of type string: "integer"']],
  ['set', { name: 'a', tags: ['a', 'a'] }, ['spec.tags[1]: Duplicate value: "a"']],
  ['map list, with a default key', { name: 'a', items: [{ key: 'x' }, { key: 'x', protocol: 'TCP' }] }, ['spec.items[1]: Duplicate value: {"key":"x","protocol":"TCP"}']],
  ['nullable', { name: 'a', time: null }, []],
])('validation: %s', (_, value, expected) => expect(errorsOf(value)).toEqual(expected));

test('combined schemas', () => {
  const either = { oneOf: [{ required: ['a'] }, { required: ['b'] }] };
  expect(errorsOf({ a: 1 }, either)).toEqual([]);
  expect(errorsOf({ a: 1, b: 1 }, either)).toHaveLength(1);
  expect(errorsOf(1, { not: { type: 'integer' } })).toHaveLength(1);
  expect(errorsOf(1, { anyOf: [{ type: 'string' }] })).toHaveLength(1);
});

test('protobuf spellings become the API spelling, map keys stay', () => {
  const object = { spec: { http: [{ mirror_percent: 5, cors_policy: { allow_origins: [] }, match: [{ headers: { 'a_b': { exact: 'x' } } }] }], export_to: ['.'], unknown_field: 1 } };
  expect(respell(VIRTUAL_SERVICE_KIND.schema, object)).toEqual({
    spec: { http: [{ mirrorPercent: 5, corsPolicy: { allowOrigins: [] }, match: [{ headers: { 'a_b': { exact: 'x' } } }] }], exportTo: ['.'], unknown_field: 1 },
  });
});

test('an ordinary deployment is known, valid and defaulted', () => {
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels: { app: 'web' }, creationTimestamp: null },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }], livenessProbe: { httpGet: { port: 'http' } }, resources: { limits: { cpu: 0.5, memory: '1Gi' } } }],
          volumes: [{ name: 'v', configMap: { name: 'x' } }],
        },
      },
    },
  };
  expect(unknownFields(DEPLOYMENT_KIND.schema, deployment)).toEqual([]);
  const full = applyDefaults(DEPLOYMENT_KIND.schema as Of<typeof deployment>, deployment);
  expect(validateSchema(DEPLOYMENT_KIND.schema, full)).toEqual([]);
  expect(full.spec).toMatchObject({
    replicas: 1, strategy: { type: 'RollingUpdate' }, progressDeadlineSeconds: 600,
    template: { spec: { restartPolicy: 'Always', containers: [{ ports: [{ protocol: 'TCP' }], livenessProbe: { periodSeconds: 10, httpGet: { path: '/', scheme: 'HTTP' } } }], volumes: [{ configMap: { defaultMode: 420 } }] } },
  });
});
