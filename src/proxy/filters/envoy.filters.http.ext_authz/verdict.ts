import type { JsonObject } from '@bufbuild/protobuf';
import { HeaderValueOption_HeaderAppendAction as Append, type HeaderValueOption } from '../../../xds/gen/envoy/config/core/v3/base_pb.ts';
import type { CheckResponse } from '../../../xds/gen/envoy/service/auth/v3/external_auth_pb.ts';
import type { HeaderMap } from '../../http/message.ts';
import type { SideResult } from '../side-call.ts';
import type { HttpTarget } from './config.ts';

/** One header change: `add` is one more line, `set` replaces, `set-present` and `add-absent` depend on what is there. */
export interface HeaderChange {
  readonly how: 'set' | 'add' | 'set-present' | 'add-absent';
  readonly name: string;
  readonly value: string;
}

/** What an authorizer said. */
export type Judgement =
  | { readonly kind: 'allowed'; readonly request: readonly HeaderChange[]; readonly remove: readonly string[]; readonly response: readonly HeaderChange[]; readonly query: ReadonlyMap<string, string | undefined>; readonly metadata: JsonObject | undefined }
  | { readonly kind: 'denied'; readonly status: number; readonly body: string; readonly headers: readonly (readonly [string, string])[] }
  | { readonly kind: 'error'; readonly reason: string };

const REMOVE_HEADER = 'x-envoy-auth-headers-to-remove';
/** Headers of the exchange with the authorizer, never of the client's. */
const HOP = new Set(['connection', 'transfer-encoding', 'content-length', 'keep-alive', 'upgrade', 'host', 'te', 'trailer', 'server', 'date', 'x-envoy-upstream-service-time']);

/** 200 allows, 5xx and silence are errors, everything else is the answer for the client. */
export function judgeHttp(result: SideResult, target: HttpTarget): Judgement {
  if (result.kind === 'failure') return { kind: 'error', reason: result.reason };
  const { status, headers } = result.head;
  if (status >= 500) return { kind: 'error', reason: `HTTP status ${status}` };
  const entries = [...headers.entries()].filter(([name]) => !HOP.has(name));
  if (status !== 200) return { kind: 'denied', status, body: result.body.toString('utf8'), headers: entries.filter(([name]) => target.toClientOnDenial(name)) };
  const change = (how: HeaderChange['how']) => ([name, value]: readonly [string, string]): HeaderChange => ({ how, name, value });
  return {
    kind: 'allowed', query: new Map(), metadata: undefined,
    request: [...entries.filter(([name]) => target.toUpstream(name)).map(change('set')), ...entries.filter(([name]) => target.appendToUpstream(name)).map(change('add'))],
    remove: headers.getAll(REMOVE_HEADER).flatMap((line) => line.split(',')).map((name) => name.trim().toLowerCase()).filter((name) => name !== ''),
    response: entries.filter(([name]) => target.toClientOnSuccess(name)).map(change('set')),
  };
}

/** @see envoy.service.auth.v3.CheckResponse */
export function judgeGrpc(response: CheckResponse | string): Judgement {
  if (typeof response === 'string') return { kind: 'error', reason: response };
  const { httpResponse } = response;
  if ((response.status?.code ?? 0) === 0) {
    const ok = httpResponse.case === 'okResponse' ? httpResponse.value : undefined;
    const query = new Map<string, string | undefined>((ok?.queryParametersToRemove ?? []).map((name) => [name, undefined]));
    for (const { key, value } of ok?.queryParametersToSet ?? []) query.set(key, value);
    return {
      kind: 'allowed', query, metadata: response.dynamicMetadata,
      request: (ok?.headers ?? []).flatMap(changeOf), remove: (ok?.headersToRemove ?? []).map((name) => name.toLowerCase()), response: (ok?.responseHeadersToAdd ?? []).flatMap(changeOf),
    };
  }
  const denied = httpResponse.case === 'deniedResponse' ? httpResponse.value : undefined;
  const headers = (denied?.headers ?? []).flatMap(changeOf).filter(({ name }) => !HOP.has(name));
  return { kind: 'denied', status: denied?.status?.code || 403, body: denied?.body ?? '', headers: headers.map(({ name, value }) => [name, value] as const) };
}

function changeOf(option: HeaderValueOption): readonly HeaderChange[] {
  const name = option.header?.key.toLowerCase() ?? '';
  const value = option.header?.value || Buffer.from(option.header?.rawValue ?? []).toString('latin1');
  if (name === '' || (value === '' && !option.keepEmptyValue && option.header?.value === undefined)) return [];
  // Without either field a header replaces.
  const how = option.append !== undefined ? (option.append ? 'add' : 'set')
    : option.appendAction === Append.ADD_IF_ABSENT ? 'add-absent' : option.appendAction === Append.OVERWRITE_IF_EXISTS ? 'set-present' : 'set';
  return [{ how, name, value }];
}

/** Applies changes in order; a name's first `set` replaces and the following ones add, so that lists like set-cookie stay whole. */
export function applyChanges(headers: HeaderMap, changes: readonly HeaderChange[]): void {
  const replaced = new Set<string>();
  for (const { how, name, value } of changes) {
    if (how === 'add' || (how === 'set' && replaced.has(name))) headers.append(name, value);
    else if (how === 'set' || (how === 'set-present' ? headers.has(name) : !headers.has(name))) headers.set(name, value);
    replaced.add(name);
  }
}
