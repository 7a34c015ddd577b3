/** What Gateway API's kinds have in common as custom resources. */
import type { KindInfo, PrinterColumn, ResourceType } from '../kind.ts';
import { AGE, defineKind } from '../schema/define-kind.ts';
import type { Schema } from '../schema/schema.ts';

export interface GatewayApiKindFacts {
  readonly spec: Schema;
  /** Absent: the kind has no status. */
  readonly status?: Schema;
  /** Served versions; the type's own is stored. */
  readonly versions?: readonly string[];
  readonly shortNames?: readonly string[];
  /** Columns before AGE. */
  readonly columns?: readonly PrinterColumn[];
  /** Columns after AGE. */
  readonly columnsAfter?: readonly PrinterColumn[];
}

export function defineGatewayApiKind(type: ResourceType, facts: GatewayApiKindFacts): KindInfo {
  const { spec, status, versions = [type.version], shortNames = [], columns = [], columnsAfter = [] } = facts;
  return defineKind(type, {
    custom: true, versions, storageVersion: type.version, categories: ['gateway-api'], shortNames, columns: [...columns, AGE, ...columnsAfter],
    status: status !== undefined, required: ['spec'], fields: { spec, ...(status ? { status } : {}) },
  });
}
