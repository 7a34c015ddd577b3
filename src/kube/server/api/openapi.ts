/** OpenAPI documents: what kubectl validates with (`--validate`), merges with (apply) and explains from. */
import { createHash } from 'node:crypto';
import { apiVersionOf } from '../../../objects/kind.ts';
import { describeSchema } from './descriptions.ts';
import { isVirtual } from './discovery.ts';
import type { Resource, ResourceTable } from './resources.ts';

type Json = Record<string, unknown>;

/** Reverse domain names of built-in schemas, as upstream has them; clients only show them. */
export function schemaNameOf({ group, version, kind, custom }: Resource): string {
  if (custom) return [...group.split('.').reverse(), version, kind].join('.');
  const short = group === '' ? 'core' : group.split('.')[0]!;
  return `io.k8s.api.${short}.${version}.${kind}`;
}

/** `/apis/apps/v1`. */
export const basePathOf = ({ group, version }: Resource): string => (group === '' ? `/api/${version}` : `/apis/${group}/${version}`);

const parameter = (name: string, description: string, type = 'string'): Json => ({ name, in: 'query', description, schema: { type, uniqueItems: true } });
const WRITE_PARAMETERS = [
  parameter('dryRun', 'When present, indicates that modifications should not be persisted.'),
  parameter('fieldManager', 'The name of the actor that makes these changes.'),
  parameter('fieldValidation', 'What to do with unknown fields: Ignore, Warn or Strict.'),
];
const LIST_PARAMETERS = [
  parameter('labelSelector', 'Restricts the list by labels.'), parameter('fieldSelector', 'Restricts the list by fields.'), parameter('limit', 'Number of items of a page.', 'integer'),
  parameter('continue', 'Where the next page starts.'), parameter('resourceVersion', 'Version to watch from.'), parameter('watch', 'Streams changes.', 'boolean'),
];

/** The document of one group and version; undefined when nothing of it is served. */
export function openApiDocument(table: ResourceTable, group: string, version: string): Json | undefined {
  const resources = table.all().filter((one) => one.group === group && one.version === version);
  if (resources.length === 0) return undefined;
  const paths: Json = {};
  const schemas: Json = {};
  for (const resource of resources) {
    const gvk = { group, version, kind: resource.kind };
    const name = schemaNameOf(resource);
    schemas[name] = { ...(resource.custom ? resource.schema : describeSchema(group, resource.kind, resource.schema)), 'x-kubernetes-group-version-kind': [gvk] };
    schemas[`${name}List`] = {
      type: 'object',
      required: ['items'],
      properties: { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { type: 'object' }, items: { type: 'array', items: { $ref: `#/components/schemas/${name}` } } },
      'x-kubernetes-group-version-kind': [{ ...gvk, kind: resource.listKind }],
    };
    addPaths(paths, resource, gvk, `#/components/schemas/${name}`);
  }
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: 'unversioned' }, paths, components: { schemas } };
}

function addPaths(paths: Json, resource: Resource, gvk: Json, ref: string): void {
  const base = basePathOf(resource);
  const collection = `${base}${resource.namespaced ? '/namespaces/{namespace}' : ''}/${resource.plural}`;
  const content = (schema: Json): Json => ({ 'application/json': { schema } });
  const operation = (action: string, parameters: readonly Json[], result: string, body?: readonly string[]): Json => ({
    description: `${action} ${resource.kind}`,
    operationId: `${action}${resource.group.replaceAll(/[^a-zA-Z0-9]/g, '')}${resource.version}${resource.kind}`,
    parameters,
    ...(body ? { requestBody: { content: Object.fromEntries(body.map((type) => [type, { schema: type === 'application/json' ? { $ref: ref } : { type: 'object' } }])) } } : {}),
    responses: { 200: { description: 'OK', content: content({ $ref: result }) } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
  });
  const inPath = (name: string): Json => ({ name, in: 'path', required: true, schema: { type: 'string', uniqueItems: true } });
  const namespace = resource.namespaced ? [inPath('namespace')] : [];
  const post = operation('post', WRITE_PARAMETERS, ref, ['application/json']);
  if (isVirtual(resource)) {
    paths[collection] = { parameters: namespace, post };
    return;
  }
  paths[collection] = { parameters: namespace, get: operation('list', LIST_PARAMETERS, `${ref}List`), post, delete: operation('deletecollection', LIST_PARAMETERS, ref) };
  if (resource.namespaced) paths[`${base}/${resource.plural}`] = { get: operation('list', LIST_PARAMETERS, `${ref}List`) };
  const patchTypes = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml', ...(resource.custom ? [] : ['application/strategic-merge-patch+json'])];
  paths[`${collection}/{name}`] = {
    parameters: [...namespace, inPath('name')],
    get: operation('get', [], ref),
    put: operation('put', WRITE_PARAMETERS, ref, ['application/json']),
    patch: operation('patch', [...WRITE_PARAMETERS, parameter('force', 'Takes over fields of other managers.', 'boolean')], ref, patchTypes),
    delete: operation('delete', [parameter('gracePeriodSeconds', 'Seconds to end.', 'integer'), parameter('propagationPolicy', 'What becomes of dependents.')], ref),
  };
}

/** Hashes by group version, of one generation of the table. Documents themselves are built when asked for: they are large and clients keep them. */
let hashes: { generation: number; table: ResourceTable; byPath: Map<string, string> } | undefined;

/** `/openapi/v3`: where the documents are. The hash lets clients keep a document until it changes. */
export function openApiIndex(table: ResourceTable): unknown {
  if (hashes?.generation !== table.generation || hashes.table !== table) {
    const byPath = new Map<string, string>();
    for (const { group, version } of table.all()) {
      const path = group === '' ? `api/${version}` : `apis/${apiVersionOf({ group, version })}`;
      if (!byPath.has(path)) byPath.set(path, createHash('sha256').update(JSON.stringify(openApiDocument(table, group, version))).digest('hex').slice(0, 32).toUpperCase());
    }
    hashes = { generation: table.generation, table, byPath };
  }
  return { paths: Object.fromEntries([...hashes.byPath].map(([path, hash]) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }])) };
}
