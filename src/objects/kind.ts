import type { Schema } from './schema/schema.ts';

/** A `kubectl get` column. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date' | 'boolean' | 'number';
  /** JSONPath without braces, `.spec.host`. */
  readonly jsonPath: string;
  /** 0 is always shown, above only with `-o wide`. */
  readonly priority?: number;
  readonly description?: string;
  readonly format?: string;
}

/** Everything the API, the CLI and the analyzers must know about one kind. */
export interface KindInfo {
  /** '' for the core group. */
  readonly group: string;
  /** Served versions, the preferred one first. All versions have the same shape (conversion: None). */
  readonly versions: readonly string[];
  /** The version objects are stored in. */
  readonly storageVersion: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Has a `/status` subresource. */
  readonly status: boolean;
  /** Has a `/scale` subresource. */
  readonly scale?: { readonly specReplicasPath: string; readonly statusReplicasPath: string; readonly labelSelectorPath?: string };
  /** Columns after NAME. Built-in kinds have hand-written tables in kube/server instead when a JSONPath cannot say it. */
  readonly columns: readonly PrinterColumn[];
  readonly schema: Schema;
  /** Served as a CustomResourceDefinition rather than as a built-in kind. */
  readonly custom: boolean;
  /** By version: the warning every request to it gets. */
  readonly deprecated?: Readonly<Record<string, string>>;
}

/** Names a kind's resource in one version: what a client needs to build URLs. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

/** `apiVersion` text of a group and version. */
export function apiVersionOf(type: { readonly group: string; readonly version: string }): string {
  return type.group ? `${type.group}/${type.version}` : type.version;
}
