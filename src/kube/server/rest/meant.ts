import { findKind } from '../../../objects/registry.ts';
import { repairObject } from '../../../objects/repair/repair.ts';
import type { Resource } from '../api/resources.ts';
import { isObject } from '../json.ts';

/** Written by kubectl and by the server, not by the author. */
const NOT_WRITTEN = ['managedFields', 'resourceVersion', 'uid', 'generation', 'creationTimestamp'];
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** What an object with unknown fields was probably meant to be, as the end of an error message; '' when these fields have no place anywhere in its kind. */
export function meantInstead(resource: Pick<Resource, 'group' | 'kind'>, object: Readonly<Record<string, unknown>>): string {
  const info = findKind(resource.group, resource.kind);
  const repair = info && repairObject({ ...object, metadata: writtenMetadata(object['metadata']) }, { kinds: [info] });
  return repair ? `\nIt was probably meant like this:\n\n${repair.yaml}` : '';
}

function writtenMetadata(metadata: unknown): unknown {
  if (!isObject(metadata)) return metadata;
  const kept = Object.entries(metadata).filter(([name]) => !NOT_WRITTEN.includes(name));
  return Object.fromEntries(kept.flatMap(([name, value]) => {
    if (name !== 'annotations' || !isObject(value)) return [[name, value]];
    const annotations = Object.entries(value).filter(([key]) => key !== LAST_APPLIED);
    return annotations.length === 0 ? [] : [[name, Object.fromEntries(annotations)]];
  }));
}
