import type { Issue } from '../base/issue.ts';
import type { KubeObject } from '../objects/meta.ts';
import { CONVERTED, NOT_CONVERTED } from '../resolve/legacy/modern.ts';
import { resolve } from '../resolve/resolve.ts';

/** What objects of the past, and of other dialects, are read as: found by reading them as the mesh would. */
export function conversionNotes(objects: readonly KubeObject[]): readonly Issue[] {
  return resolve({ objects: objects.filter(({ metadata }) => metadata.name !== '') }).issues.filter(({ code }) => code === CONVERTED || code === NOT_CONVERTED);
}
