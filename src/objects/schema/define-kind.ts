/** Puts a kind's facts together with the names that follow from them. */
import { objectMeta } from '../kubernetes/meta-schema.ts';
import type { KindInfo, PrinterColumn, ResourceType } from '../kind.ts';
import { str } from './dsl.ts';
import type { Schema } from './schema.ts';

/** What a kind's file says about it beyond its {@link ResourceType}. */
export interface KindFacts {
  /** Fields beside apiVersion, kind and metadata. */
  readonly fields: Readonly<Record<string, Schema>>;
  /** Top-level fields that must be present. */
  readonly required?: readonly string[];
  readonly versions?: readonly string[];
  readonly storageVersion?: string;
  readonly singular?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly status?: boolean;
  readonly scale?: KindInfo['scale'];
  readonly columns?: readonly PrinterColumn[];
  readonly custom?: boolean;
  readonly deprecated?: KindInfo['deprecated'];
}

/** The full {@link KindInfo} of a kind. */
export function defineKind(type: ResourceType, facts: KindFacts): KindInfo {
  const { fields, required, versions = [type.version], shortNames = [], categories = [], status = false, columns = [], custom = false } = facts;
  return {
    group: type.group,
    versions,
    storageVersion: facts.storageVersion ?? type.version,
    kind: type.kind,
    listKind: `${type.kind}List`,
    plural: type.plural,
    singular: facts.singular ?? type.kind.toLowerCase(),
    shortNames,
    categories,
    namespaced: type.namespaced,
    status,
    ...(facts.scale ? { scale: facts.scale } : {}),
    columns,
    schema: { type: 'object', properties: { apiVersion: str(), kind: str(), metadata: objectMeta, ...fields }, ...(required ? { required } : {}) },
    custom,
    ...(facts.deprecated ? { deprecated: facts.deprecated } : {}),
  };
}

/** The AGE column. */
export const AGE: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };
