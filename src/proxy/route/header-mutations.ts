/** Header changes of routes: protobuf to {@link HeaderMutations}, and their application. */
import type { HeaderMap } from '../http/message.ts';
import { compileFormat } from '../../telemetry/access-log/format.ts';
import { HeaderValueOption_HeaderAppendAction as AppendAction, type HeaderValueOption } from '../../xds/gen/envoy/config/core/v3/base_pb.ts';
import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { HeaderMutations, HeaderValue } from './route-table.ts';

/** What header changes act on; routers give `setAuthority` so that `:authority` and `host` change the request's authority. */
export interface MutationTarget {
  readonly headers: HeaderMap;
  /** Called instead of a header change for `:authority` and `host`; absent for responses, where both are ignored. */
  readonly setAuthority?: (authority: string) => void;
}

/**
 * Applies one level: removes, then `set`, then `add`. All values are computed before anything is set, from the headers after the removal.
 * @see https://github.com/envoyproxy/envoy/blob/main/source/common/router/header_parser.cc (evaluateHeaders)
 */
export function applyHeaderMutations(target: MutationTarget, mutations: HeaderMutations, known: Partial<TrafficRecord>): void {
  const { headers } = target;
  for (const name of mutations.remove) headers.remove(name);
  const set: [string, string][] = [];
  const add: [string, string][] = [];
  for (const [name, value] of mutations.set) push(set, name, value, known);
  for (const [name, value] of mutations.setIfPresent) if (headers.has(name)) push(set, name, value, known);
  for (const [name, value] of mutations.add) push(add, name, value, known);
  for (const [name, value] of mutations.addIfAbsent) if (!headers.has(name)) push(add, name, value, known);
  for (const [name, value] of set) {
    if (name === ':authority') target.setAuthority?.(value);
    else headers.set(name, value);
  }
  for (const [name, value] of add) if (name !== ':authority') headers.append(name, value);
}

function push(list: [string, string][], name: string, value: HeaderValue, known: Partial<TrafficRecord>): void {
  const text = typeof value === 'string' ? value : value(known);
  if (text !== '' || value === '') list.push([name, text]);
}

/** Compiles the add and remove lists of one level; undefined when there is nothing to do. Throws a text that names what is wrong with a format. */
export function compileHeaderMutations(options: readonly HeaderValueOption[], remove: readonly string[]): HeaderMutations | undefined {
  if (options.length === 0 && remove.length === 0) return undefined;
  const result = { set: [] as Entry[], add: [] as Entry[], addIfAbsent: [] as Entry[], setIfPresent: [] as Entry[], remove: remove.map((name) => name.toLowerCase()) };
  for (const option of options) {
    const name = option.header?.key.toLowerCase() ?? '';
    if (name === '') throw new Error('header name is empty');
    const value = compileHeaderValue(option.header!.value || new TextDecoder().decode(option.header!.rawValue));
    if (value === '' && !option.keepEmptyValue) continue;
    listOf(option, result).push([name === 'host' ? ':authority' : name, value]);
  }
  return result;
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
