/** The analyzers' messages: Istio's codes, levels and wording. @see https://istio.io/latest/docs/reference/config/analysis/ */
import type { Issue, ObjectReference } from '../base/issue.ts';
import type { KubeObject } from '../objects/meta.ts';
import { MESSAGES, type MessageCode } from './messages.ts';

export type { MessageCode } from './messages.ts';

/** Annotation under which {@link referenceOf} finds where an object was read from. */
export const ORIGIN = 'meltemi.dev/origin';

export function referenceOf(object: KubeObject): ObjectReference {
  const { namespace, name, annotations } = object.metadata;
  const origin = annotations?.[ORIGIN];
  return { apiVersion: object.apiVersion, kind: object.kind, name, ...(namespace !== undefined && { namespace }), ...(origin !== undefined && { origin }) };
}

/** `namespace/name`, or the name alone when the file gives no namespace: how Istio's texts name objects. */
export function fullName(object: KubeObject): string {
  return object.metadata.namespace ? `${object.metadata.namespace}/${object.metadata.name}` : object.metadata.name;
}

/**
 * An issue with Istio's wording: `%q` is quoted, lists stand in brackets, everything else as it is. `fix` is ours: what to write instead.
 */
export function message(code: MessageCode, object: KubeObject, path: string, args: readonly (string | number | readonly string[])[], fix?: string): Issue {
  const { level, template } = MESSAGES[code];
  let next = 0;
  const text = template.replace(/%[sqvd]/g, (verb) => format(verb, args[next++] ?? ''));
  return { severity: level, code, object: referenceOf(object), path, message: text, ...(fix !== undefined && { fix }) };
}

function format(verb: string, value: string | number | readonly string[]): string {
  if (typeof value === 'string') return verb === '%q' ? JSON.stringify(value) : value;
  if (typeof value === 'number') return String(value);
  return `[${value.map((item) => (verb === '%q' ? JSON.stringify(item) : item)).join(' ')}]`;
}
