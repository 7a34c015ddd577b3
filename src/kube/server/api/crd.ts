/** Kinds that come from CustomResourceDefinition objects. */
import type { KindInfo, PrinterColumn } from '../../../objects/kind.ts';
import { apiVersionOf } from '../../../objects/kind.ts';
import { objectMeta } from '../../../objects/kubernetes/meta-schema.ts';
import type { CustomResourceDefinition } from '../../../objects/kubernetes/custom-resource-definition.ts';
import type { KubeObject } from '../../../objects/meta.ts';
import type { Schema } from '../../../objects/schema/schema.ts';
import { webhookConverter } from '../admission/conversion.ts';
import type { Dial } from '../admission/webhook-call.ts';
import { at, isObject, listAt, own, textAt } from '../json.ts';
import type { Store } from '../store/store.ts';
import type { Resource, ResourceTable } from './resources.ts';
import { storagePrefix } from './storage-key.ts';

const CRDS = { group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' };

/** The definition object that makes an API server serve a kind. All versions carry the same schema. */
export function crdOf(info: KindInfo): CustomResourceDefinition {
  const { group, plural, singular, kind, listKind, shortNames, categories, schema } = info;
  // Identity is implied; definitions leave it out.
  const properties = Object.fromEntries(Object.entries(schema.properties ?? {}).filter(([name]) => !['apiVersion', 'kind', 'metadata'].includes(name)));
  const required = (schema.required ?? []).filter((name) => Object.hasOwn(properties, name));
  const { required: _required, ...rest } = schema;
  const openAPIV3Schema: Schema = { ...rest, properties, ...(required.length > 0 ? { required } : {}) };
  const subresources = { ...(info.status ? { status: {} } : {}), ...(info.scale ? { scale: info.scale } : {}) };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: { plural, singular, kind, listKind, ...(shortNames.length > 0 ? { shortNames } : {}), ...(categories.length > 0 ? { categories } : {}) },
      scope: info.namespaced ? 'Namespaced' : 'Cluster',
      versions: info.versions.map((name) => ({
        name,
        served: true,
        storage: name === info.storageVersion,
        schema: { openAPIV3Schema },
        ...(Object.keys(subresources).length > 0 ? { subresources } : {}),
        ...(info.columns.length > 0 ? { additionalPrinterColumns: info.columns } : {}),
      })),
    },
  } as unknown as CustomResourceDefinition;
}

/** AGE, when a definition names no columns. */
const DEFAULT_COLUMNS: readonly PrinterColumn[] = [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }];

/** What a definition serves: one resource per served version. `dial` reaches its conversion webhook. */
export function resourcesOfDefinition(definition: KubeObject, dial: Dial): Resource[] {
  const spec = own(definition, 'spec');
  const names = own(spec, 'names');
  const group = textAt(spec, 'group');
  const versions = listAt(spec, 'versions');
  const storage = textAt(versions.find((version) => own(version, 'storage') === true), 'name');
  const converter = textAt(spec, 'conversion', 'strategy') === 'Webhook' ? { converter: webhookConverter(at(spec, 'conversion', 'webhook'), textAt(names, 'kind'), dial) } : {};
  const texts = (list: readonly unknown[]): string[] => list.filter((one) => typeof one === 'string');
  return versions.filter((version) => own(version, 'served') === true).map((version) => {
    const columns = listAt(version, 'additionalPrinterColumns') as readonly PrinterColumn[];
    const scale = at(version, 'subresources', 'scale');
    const apiVersion = apiVersionOf({ group, version: textAt(version, 'name') });
    const warning = textAt(version, 'deprecationWarning') || `${apiVersion} ${textAt(names, 'kind')} is deprecated`;
    return {
      group,
      version: textAt(version, 'name'),
      apiVersion,
      kind: textAt(names, 'kind'),
      listKind: textAt(names, 'listKind'),
      plural: textAt(names, 'plural'),
      singular: textAt(names, 'singular'),
      shortNames: texts(listAt(names, 'shortNames')),
      categories: texts(listAt(names, 'categories')),
      namespaced: textAt(spec, 'scope') === 'Namespaced',
      schema: completed(at(version, 'schema', 'openAPIV3Schema') as Schema | undefined),
      columns: columns.length > 0 ? columns : DEFAULT_COLUMNS,
      status: at(version, 'subresources', 'status') !== undefined,
      ...(isObject(scale) ? { scale: scale as unknown as NonNullable<Resource['scale']> } : {}),
      custom: true,
      storageApiVersion: apiVersionOf({ group, version: storage }),
      ...converter,
      selectableFields: listAt(version, 'selectableFields').map((one) => textAt(one, 'jsonPath')).filter((path) => path !== ''),
      ...(own(version, 'deprecated') === true ? { deprecationWarning: warning } : {}),
    };
  });
}

/** A definition's schema with the identity that every object has. */
function completed(schema: Schema | undefined): Schema {
  return { type: 'object', ...schema, properties: { ...schema?.properties, apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: objectMeta } };
}

/** Keeps the table in step with the stored definitions; returns the end of it. */
export function serveDefinitions(store: Store, resources: ResourceTable, dial: Dial): () => void {
  const prefix = storagePrefix(CRDS);
  for (const { object } of store.list(prefix)) resources.define(object.metadata.name, resourcesOfDefinition(object, dial));
  return store.watch(prefix, store.revision(), (event) => {
    const sameSpec = event.type === 'put' && event.previous && own(event.previous, 'spec') === own(event.object, 'spec');
    if (!sameSpec) resources.define(event.object.metadata.name, event.type === 'delete' ? [] : resourcesOfDefinition(event.object, dial));
    if (event.type === 'delete') void deleteInstances(store, event.object);
  });
}

/** The objects of a definition go with it. */
async function deleteInstances(store: Store, definition: KubeObject): Promise<void> {
  const prefix = storagePrefix({ group: textAt(definition, 'spec', 'group'), plural: textAt(definition, 'spec', 'names', 'plural') });
  await Promise.allSettled(store.list(prefix).map((entry) => store.delete(entry.key, entry.revision)));
}
