/** Header changes of routes: protobuf to {@link HeaderMutations}, and their application. */
import type { HeaderMap } from '../http/message.ts';
import { compileFormat } from '../../telemetry/access-log/format.ts';
import { HeaderValueOption_HeaderAppendAction as AppendAction, type HeaderValueOption } from '../../xds/gen/envoy/config/core/v3/base_pb.ts';
import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { HeaderMutations, HeaderValue } from './route-table.ts';

/** What header changes act on. */
export interface MutationTarget {
  readonly headers: HeaderMap;
}

/**
 * Applies one level: removes, then `set`, then `add`. All values are computed before anything is set, from the headers after the removal.
 * @see https://github.com/envoyproxy/envoy/blob/main/source/common/router/header_parser.cc (evaluateHeaders)
 */
export function applyHeaderMutations(target: MutationTarget, mutations: HeaderMutations, known: Partial<TrafficRecord>): void {
  const { headers } = target;
  for (const name of mutations.remove) headers.remove(name);
  if (mutations.set.length + mutations.setIfPresent.length + mutations.add.length + mutations.addIfAbsent.length === 0) return;
  const set: [string, string][] = [];
  const add: [string, string][] = [];
  for (const [name, value] of mutations.set) push(set, name, value, known);
  for (const [name, value] of mutations.setIfPresent) if (headers.has(name)) push(set, name, value, known);
  for (const [name, value] of mutations.add) push(add, name, value, known);
  for (const [name, value] of mutations.addIfAbsent) if (!headers.has(name)) push(add, name, value, known);
  for (const [name, value] of set) headers.set(name, value);
  for (const [name, value] of add) headers.append(name, value);
}

function push(list: [string, string][], name: string, value: HeaderValue, known: Partial<TrafficRecord>): void {
  const text = typeof value === 'string' ? value : value(known);
  if (text !== '' || value === '') list.push([name, text]);
}

/** Compiles the add and remove lists of one level; undefined when there is nothing to do. Throws a text that names what is wrong with a format. */
export function compileHeaderMutations(options: readonly HeaderValueOption[], remove: readonly string[]): HeaderMutations | undefined {
  if (options.length === 0 && remove.length === 0) return undefined;
  const result = { set: [] as Entry[], add: [] as Entry[], addIfAbsent: [] as Entry[], setIfPresent: [] as Entry[], remove: remove.map((name) => mutable(name, 'removed')) };
  for (const option of options) {
    const name = mutable(option.header?.key ?? '', 'modified');
    const value = compileHeaderValue(option.header!.value || new TextDecoder().decode(option.header!.rawValue));
    if (value === '' && !option.keepEmptyValue) continue;
    listOf(option, result).push([name, value]);
  }
  return result;
}

/** Lower case. Envoy refuses to touch the host and pseudo headers here: `host_rewrite` and `prefix_rewrite` are for that. */
function mutable(header: string, what: 'modified' | 'removed'): string {
  const name = header.toLowerCase();
  if (name === '') throw new Error('header name is empty');
  if (name.startsWith(':') || name === 'host') throw new Error(`:-prefixed or host headers may not be ${what}`);
  return name;
}

type Entry = [name: string, value: HeaderValue];

function listOf(option: HeaderValueOption, lists: { set: Entry[]; add: Entry[]; addIfAbsent: Entry[]; setIfPresent: Entry[] }): Entry[] {
  // The deprecated `append` still wins when it is given, as in Envoy.
  if (option.append !== undefined) return option.append ? lists.add : lists.set;
  switch (option.appendAction) {
    case AppendAction.ADD_IF_ABSENT:
      return lists.addIfAbsent;
    case AppendAction.OVERWRITE_IF_EXISTS_OR_ADD:
      return lists.set;
    case AppendAction.OVERWRITE_IF_EXISTS:
      return lists.setIfPresent;
    default:
      return lists.add;
  }
}

function compileHeaderValue(text: string): HeaderValue {
  if (!text.includes('%')) return text;
  const format = compileFormat(text, { missing: '' });
  return format.literal ?? format.write;
}
