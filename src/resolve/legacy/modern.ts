/** Makes the modern objects that stand for legacy ones, and the words in which their author is shown them. */
import { stringify } from 'yaml';
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { referenceOf } from '../context.ts';

/** Something of the past is read as something of today. */
export const CONVERTED = 'MLT0013';
/** A part of a legacy object has no modern form. */
export const NOT_CONVERTED = 'MLT0014';

export type ModernKind = 'PeerAuthentication' | 'RequestAuthentication' | 'AuthorizationPolicy';

type Json = Readonly<Record<string, unknown>>;

export interface ModernObject extends KubeObject {
  readonly spec: Json;
}

/** An object of `security.istio.io/v1` as old as the one it comes from. */
export function modern(from: KubeObject, kind: ModernKind, namespace: string, name: string, spec: Json, annotations?: Readonly<Record<string, string>>): ModernObject {
  const { creationTimestamp } = from.metadata;
  const metadata = { name, namespace, ...(creationTimestamp !== undefined && { creationTimestamp }), ...(annotations && { annotations }) };
  return { apiVersion: 'security.istio.io/v1', kind, metadata, spec };
}

/** Objects as a file a user could apply instead. */
export function asYaml(objects: readonly ModernObject[]): string {
  return objects.map(({ apiVersion, kind, metadata: { name, namespace, annotations }, spec }) =>
    stringify({ apiVersion, kind, metadata: { name, namespace, ...(annotations && { annotations }) }, spec }, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n');
}

/** Tells the author of a legacy object what it is read as. */
export function convertedIssue(from: KubeObject, gone: string, objects: readonly ModernObject[]): Issue {
  const names = [...new Set(objects.map(({ kind }) => kind))].join(' and ');
  return {
    severity: 'warning', code: CONVERTED, object: referenceOf(from), path: '',
    message: `${from.apiVersion} ${from.kind} is gone from Istio since ${gone}; it is read as ${names === '' ? 'nothing: it changes nothing' : names}.`, ...(objects.length > 0 && { fix: asYaml(objects) }),
  };
}

export function notConverted(from: KubeObject, path: string, message: string, fix?: string): Issue {
  return { severity: 'warning', code: NOT_CONVERTED, object: referenceOf(from), path, message, ...(fix !== undefined && { fix }) };
}
