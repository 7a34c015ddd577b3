import { expect, test } from 'vitest';
import { create, toBinary } from '@bufbuild/protobuf';
import { TypedExtensionConfigSchema } from '../../xds/gen/envoy/config/core/v3/extension_pb.ts';
import { LuaSchema } from '../../xds/gen/envoy/extensions/filters/http/lua/v3/lua_pb.ts';
import { encodeResource } from '../../xds/codec.ts';
import { HTTP_FILTERS } from '../filters/registry.ts';
import { FilterChain } from '../hcm/filter-chain.ts';
import { ExtensionStore } from './extension-store.ts';
import type { HcmRuntime } from './runtime.ts';

const LUA = 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua';
const extension = (name: string, code: string, typeUrl = LUA) =>
  encodeResource(create(TypedExtensionConfigSchema, { name, typedConfig: { typeUrl, value: toBinary(LuaSchema, create(LuaSchema, { inlineCode: code })) } }));

test('a config that is refused leaves the last good one; types that no listener allows are refused', () => {
  const store = new ExtensionStore(HTTP_FILTERS, () => 0);
  store.expect('own', [LUA]);
  expect(store.update({ updated: [extension('own', 'function envoy_on_request(h) end')], removed: [] })).toBeUndefined();
  const first = store.get('own');
  expect(store.update({ updated: [extension('own', 'function (')], removed: [] })).toMatch(/extension config own/);
  expect(store.update({ updated: [extension('own', '', 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors')], removed: [] })).toMatch(/none that its listeners allow/);
  expect(store.update({ updated: [extension('other', '', 'type.googleapis.com/nobody.Knows')], removed: [] })).toMatch(/no filter is configured by/);
  expect(store.get('own')).toBe(first);
  store.keepOnly(new Set());
  expect(store.get('own')).toBeUndefined();
});

test('the next request has the new config; without any it is answered 500', () => {
  const store = new ExtensionStore(HTTP_FILTERS, () => 0);
  const chain = new FilterChain({ httpFilters: [{ name: 'own', typeUrl: '', config: undefined, discovered: () => store.get('own') }], extensions: store } as unknown as HcmRuntime);
  const missing = chain.filters(undefined, undefined).request;
  expect(missing[0]?.onRequest?.({} as never, {} as never)).toMatchObject({ kind: 'reply', reply: { status: 500, flag: 'NFCF' } });
  store.update({ updated: [extension('own', 'function envoy_on_request(h) end')], removed: [] });
  const made = chain.filters(undefined, undefined);
  expect(made.request).not.toEqual(missing);
  expect(chain.filters(undefined, undefined)).toBe(made);
  store.update({ updated: [extension('own', 'function envoy_on_response(h) end')], removed: [] });
  expect(chain.filters(undefined, undefined)).not.toBe(made);
});
