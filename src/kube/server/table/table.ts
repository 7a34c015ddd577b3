/** Objects as tables: what `kubectl get` prints. @see https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables */
import type { PrinterColumn } from '../../../objects/kind.ts';
import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { age, since } from './format.ts';
import { compileJsonPath } from './json-path.ts';
import type { KindTable } from './columns.ts';
import { tableOfKind } from './kinds.ts';

/** What a row carries beside its cells. Default of the API: Metadata. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

const custom = new WeakMap<Resource, KindTable>();

function tableOf(resource: Resource): KindTable {
  const builtIn = tableOfKind(resource.group, resource.kind);
  if (builtIn && !resource.custom) return builtIn;
  let table = custom.get(resource);
  if (!table) custom.set(resource, (table = tableOfColumns(resource.columns)));
  return table;
}

function tableOfColumns(columns: readonly PrinterColumn[]): KindTable {
  const cells = columns.map((column) => {
    const find = compileJsonPath(column.jsonPath) ?? (() => []);
    return (object: unknown, nowMs: number): unknown => cell(find(object), column.type, nowMs);
  });
  const table: KindTable = {
    columns: [{ name: 'Name', format: 'name' }, ...columns.map((column) => ({ name: column.name, type: column.type, wide: (column.priority ?? 0) > 0, ...(column.format ? { format: column.format } : {}) }))],
    cells: (object, nowMs) => [(object as KubeObject).metadata.name, ...cells.map((one) => one(object, nowMs))],
  };
  if (columns.length > 0) return table;
  return { columns: [...table.columns, { name: 'Age' }], cells: (object, nowMs) => [(object as KubeObject).metadata.name, age(object, nowMs)] };
}

function cell(found: readonly unknown[], type: PrinterColumn['type'], nowMs: number): unknown {
  const value = found[0];
  if (value === undefined || value === null) return null;
  if (type === 'date') return typeof value === 'string' ? since(value, nowMs) : null;
  if (type === 'integer' || type === 'number') return typeof value === 'number' ? value : null;
  if (type === 'boolean') return typeof value === 'boolean' ? value : null;
  const texts = found.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
  return texts.join(',');
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  Name: 'Name must be unique within a namespace.',
  Age: 'CreationTimestamp is a timestamp representing the server time when this object was created.',
};

/** The Table object of some objects. `metadata` is the list's. */
export function toTable(resource: Resource, objects: readonly KubeObject[], metadata: Record<string, unknown>, include: IncludeObject, nowMs: number, headers = true): Record<string, unknown> {
  const table = tableOf(resource);
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: headers
      ? table.columns.map(({ name, type = 'string', format = '', wide = false }) => ({ name, type, format, description: DESCRIPTIONS[name] ?? '', priority: wide ? 1 : 0 }))
      : null,
    rows: objects.map((object) => ({ cells: table.cells(object, nowMs), ...(include === 'None' ? {} : { object: include === 'Object' ? object : partialMetadata(object) }) })),
  };
}

/** Only the metadata of an object. */
export function partialMetadata(object: KubeObject): Record<string, unknown> {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}
