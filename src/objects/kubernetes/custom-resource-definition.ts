import type { SpecObject } from '../meta.ts';
import { CUSTOM_RESOURCE_DEFINITION } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { anyObject, as, bool, int, list, obj, oneOf, req, str, type Infer } from '../schema/dsl.ts';
import type { Schema } from '../schema/schema.ts';
import { conditions } from './meta-schema.ts';

const names = obj({
  plural: req(str()),
  singular: str(),
  kind: req(str()),
  listKind: str(),
  shortNames: list(str(), { atomic: true }),
  categories: list(str(), { atomic: true }),
});
const printerColumn = obj({
  name: req(str()),
  type: req(oneOf('string', 'integer', 'date', 'boolean', 'number')),
  jsonPath: req(str()),
  priority: int(),
  description: str(),
  format: str(),
});
const version = obj({
  name: req(str()),
  served: req(bool()),
  storage: req(bool()),
  deprecated: bool(),
  deprecationWarning: str(),
  schema: obj({ openAPIV3Schema: as<Schema>(anyObject()) }),
  subresources: obj({ status: anyObject(), scale: obj({ specReplicasPath: req(str()), statusReplicasPath: req(str()), labelSelectorPath: str() }) }),
  additionalPrinterColumns: list(printerColumn, { atomic: true }),
  selectableFields: list(obj({ jsonPath: req(str()) }), { atomic: true }),
});
/** One version of a custom kind. */
export type CustomResourceDefinitionVersion = Infer<typeof version>;

const spec = obj({
  group: req(str()),
  names: req(names),
  scope: req(oneOf('Namespaced', 'Cluster')),
  versions: req(list(version, { atomic: true })),
  conversion: anyObject(),
  preserveUnknownFields: bool(),
});
const status = obj({ conditions, acceptedNames: names, storedVersions: list(str(), { atomic: true }) });

/** CustomResourceDefinitionSpec. */
export type CustomResourceDefinitionSpec = Infer<typeof spec>;
/** A kind added at run time. @see https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/ */
export type CustomResourceDefinition = SpecObject<CustomResourceDefinitionSpec, Infer<typeof status>>;

export const CUSTOM_RESOURCE_DEFINITION_KIND = defineKind(CUSTOM_RESOURCE_DEFINITION, {
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  status: true,
  columns: [{ name: 'Created At', type: 'date', jsonPath: '.metadata.creationTimestamp' }],
  fields: { spec, status },
  required: ['spec'],
});
