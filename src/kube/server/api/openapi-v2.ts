/** `/openapi/v2`: what kubectl before 1.27 explains, validates and merges with, as JSON and as gnostic's protobuf, the form such kubectls ask for. */
import { createHash } from 'node:crypto';
import type { Schema } from '../../../objects/schema/schema.ts';
import { describeSchema } from './descriptions.ts';
import { isVirtual } from './discovery.ts';
import { basePathOf, schemaNameOf } from './openapi.ts';
import type { Resource, ResourceTable } from './resources.ts';

type Json = Record<string, unknown>;

/** A document in one form, and a tag that changes with it. */
export interface OpenApiV2 {
  readonly body: Buffer;
  readonly etag: string;
}

const EXTENSIONS = ['x-kubernetes-patch-merge-key', 'x-kubernetes-patch-strategy', 'x-kubernetes-list-type', 'x-kubernetes-list-map-keys', 'x-kubernetes-map-type', 'x-kubernetes-preserve-unknown-fields'] as const;

/** What version 2 can say of a schema: no choices, no null, and nothing of objects that may have any field. */
function schemaV2(schema: Schema): Json {
  const { description, type, format, properties, additionalProperties, items, required, nullable } = schema;
  const result: Json = {};
  if (description !== undefined) result['description'] = description;
  for (const name of EXTENSIONS) if (schema[name] !== undefined) result[name] = schema[name];
  if (schema['x-kubernetes-int-or-string'] === true) return { ...result, type: 'string', format: 'int-or-string' };
  // A type would refuse null, and the fields that are named would refuse all others.
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) return result;
  if (nullable !== true && type !== undefined) result['type'] = type;
  if (nullable === true && type !== 'object') return result;
  if (format !== undefined) result['format'] = format;
  if (properties && Object.keys(properties).length > 0) {
    const fields: Json = Object.create(null) as Json;
    for (const [name, property] of Object.entries(properties)) fields[name] = schemaV2(property);
    result['properties'] = fields;
    if (required && required.length > 0) result['required'] = required;
  } else if (typeof additionalProperties === 'object') result['additionalProperties'] = schemaV2(additionalProperties);
  if (items) result['items'] = schemaV2(items);
  else if (type === 'array') result['items'] = {};
  return result;
}

function documentOf(table: ResourceTable): { readonly definitions: Json; readonly paths: Json } {
  const definitions: Json = {};
  const paths: Json = {};
  for (const resource of table.all()) {
    const { group, version, kind } = resource;
    const gvk = { group, version, kind };
    const name = schemaNameOf(resource);
    const described = resource.custom ? resource.schema : describeSchema(group, kind, resource.schema);
    definitions[name] = { ...schemaV2(described), 'x-kubernetes-group-version-kind': [gvk] };
    definitions[`${name}List`] = {
      type: 'object', required: ['items'], 'x-kubernetes-group-version-kind': [{ ...gvk, kind: resource.listKind }],
      properties: { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { type: 'object' }, items: { type: 'array', items: { $ref: `#/definitions/${name}` } } },
    };
    if (!isVirtual(resource)) Object.assign(paths, pathsOf(resource, gvk, name));
  }
  // What `kubectl create --dry-run=server` and `explain` never look at is left out.
  return { definitions, paths };
}

/** The operations clients look at: whether a kind knows a dry run is asked of its patch. */
function pathsOf(resource: Resource, gvk: Json, name: string): Json {
  const query = (parameter: string): Json => ({ name: parameter, in: 'query', type: 'string', uniqueItems: true });
  const operation = (action: string, parameters: readonly Json[]): Json => ({
    operationId: `${action}${resource.group.replaceAll(/[^a-zA-Z0-9]/g, '')}${resource.version}${resource.kind}`, parameters,
    responses: { 200: { description: 'OK', schema: { $ref: `#/definitions/${name}` } } }, 'x-kubernetes-action': action, 'x-kubernetes-group-version-kind': gvk,
  });
  const writes = [query('dryRun'), query('fieldManager')];
  const collection = `${basePathOf(resource)}${resource.namespaced ? '/namespaces/{namespace}' : ''}/${resource.plural}`;
  return {
    [collection]: { get: operation('list', [query('labelSelector'), query('fieldSelector')]), post: operation('post', writes) },
    [`${collection}/{name}`]: { get: operation('get', []), put: operation('put', writes), patch: operation('patch', writes), delete: operation('delete', [query('dryRun')]) },
  };
}

interface Kept {
  readonly table: ResourceTable;
  readonly generation: number;
  readonly document: ReturnType<typeof documentOf>;
  json?: OpenApiV2;
  protobuf?: OpenApiV2;
}
let kept: Kept | undefined;

/** The document of everything that is served now. */
export function openApiV2(table: ResourceTable, form: 'json' | 'protobuf'): OpenApiV2 {
  if (kept?.table !== table || kept.generation !== table.generation) kept = { table, generation: table.generation, document: documentOf(table) };
  return (kept[form] ??= tagged(form === 'json' ? Buffer.from(JSON.stringify({ swagger: '2.0', info: INFO, ...kept.document })) : encodeDocument(kept.document)));
}

const INFO = { title: 'Kubernetes', version: 'unversioned' };

function tagged(body: Buffer): OpenApiV2 {
  return { body, etag: `"${createHash('sha256').update(body).digest('hex').slice(0, 32).toUpperCase()}"` };
}

// Protobuf: messages and field numbers of https://github.com/google/gnostic/blob/main/openapiv2/OpenAPIv2.proto

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 0x80);
  }
}

const field = (number: number, content: Buffer): Buffer => Buffer.concat([varint((number << 3) | 2), varint(content.length), content]);
const text = (number: number, value: unknown): Buffer => (typeof value === 'string' && value !== '' ? field(number, Buffer.from(value)) : EMPTY);
const EMPTY = Buffer.alloc(0);
const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** NamedAny of every extension: its value travels as YAML, of which JSON is a part. */
const extensions = (number: number, of: Json): Buffer => Buffer.concat(Object.keys(of).filter((key) => key.startsWith('x-')).map((key) => field(number, Buffer.concat([text(1, key), field(2, text(2, JSON.stringify(of[key])))]))));

function encodeSchema(schema: Json): Buffer {
  const { properties, additionalProperties, items } = schema;
  return Buffer.concat([
    text(1, schema['$ref']), text(2, schema['format']), text(4, schema['description']), ...list(schema['required']).map((name) => text(19, name)),
    additionalProperties === undefined ? EMPTY : field(21, field(1, encodeSchema(object(additionalProperties)))),
    schema['type'] === undefined ? EMPTY : field(22, text(1, schema['type'])),
    items === undefined ? EMPTY : field(23, field(1, encodeSchema(object(items)))),
    properties === undefined ? EMPTY : field(25, encodeNamed(object(properties))),
    extensions(31, schema),
  ]);
}

const encodeNamed = (schemas: Json): Buffer => Buffer.concat(Object.entries(schemas).map(([name, schema]) => field(1, Buffer.concat([text(1, name), field(2, encodeSchema(object(schema)))]))));

function encodeOperation(operation: Json): Buffer {
  // ParametersItem, Parameter, NonBodyParameter, QueryParameterSubSchema.
  const parameters = list(operation['parameters']).map((one) => field(8, field(1, field(2, field(3, Buffer.concat([text(2, 'query'), text(4, object(one)['name']), text(6, 'string')]))))));
  return Buffer.concat([text(5, operation['operationId']), ...parameters, extensions(13, operation)]);
}

const OPERATIONS: Readonly<Record<string, number>> = { get: 2, put: 3, post: 4, delete: 5, patch: 8 };

function encodeDocument({ definitions, paths }: ReturnType<typeof documentOf>): Buffer {
  const items = Object.entries(paths).map(([path, item]) => field(2, Buffer.concat([text(1, path), field(2, Buffer.concat(Object.entries(object(item)).map(([method, operation]) => field(OPERATIONS[method]!, encodeOperation(object(operation))))))])));
  return Buffer.concat([text(1, '2.0'), field(2, Buffer.concat([text(1, INFO.title), text(2, INFO.version)])), field(8, Buffer.concat(items)), field(9, encodeNamed(definitions))]);
}
