import { findKind } from '../../../objects/registry.ts';
import { repairObject } from '../../../objects/repair/repair.ts';
import type { Resource } from '../api/resources.ts';

/** What an object with unknown fields was probably meant to be, as the end of an error message; '' when these fields have no place anywhere in its kind. */
export function meantInstead(resource: Pick<Resource, 'group' | 'kind'>, object: Readonly<Record<string, unknown>>): string {
  const info = findKind(resource.group, resource.kind);
  const repair = info && repairObject(object, { kinds: [info] });
  return repair ? `\nIt was probably meant like this:\n\n${repair.yaml}` : '';
}
