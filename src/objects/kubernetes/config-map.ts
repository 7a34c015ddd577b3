import type { KubeObject } from '../meta.ts';
import { CONFIG_MAP } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { bool, bytes, map, str } from '../schema/dsl.ts';

/** A config map. @see https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/config-map-v1/ */
export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
  /** Values in base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

export const CONFIG_MAP_KIND = defineKind(CONFIG_MAP, {
  shortNames: ['cm'],
  fields: { data: map(str(), { nullable: true }), binaryData: map(bytes(), { nullable: true }), immutable: bool() },
});
