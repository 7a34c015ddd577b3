import type { KubeObject } from '../meta.ts';
import { SECRET } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { bool, bytes, map, str, strDefault } from '../schema/dsl.ts';

/** A secret. @see https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/ */
export interface Secret extends KubeObject {
  readonly type?: string;
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>>;
  /** Write-only: merged into `data` when stored. */
  readonly stringData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

export const SECRET_KIND = defineKind(SECRET, {
  fields: { type: strDefault('Opaque'), data: map(bytes(), { nullable: true }), stringData: map(str(), { nullable: true }), immutable: bool() },
});
