import type { StringMatch } from '../model/virtual-service.ts';
import type { Cursor } from './cursor.ts';

/** A StringMatch; undefined when it says nothing. The regex `*` means "present", as in Istio. */
export function readStringMatch(value: Cursor, prefixKind: 'prefix' | 'segment-prefix' = 'prefix'): StringMatch | undefined {
  if (!value.exists) return undefined;
  const exact = value.at('exact').text();
  if (exact !== undefined) return { kind: 'exact', value: exact };
  const prefix = value.at('prefix').text();
  if (prefix !== undefined) return { kind: prefixKind, value: prefix };
  const regex = value.at('regex').text();
  if (regex !== undefined) return regex === '*' ? { kind: 'present' } : { kind: 'regex', value: regex };
  return undefined;
}
