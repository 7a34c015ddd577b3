/** Fengari, loaded with the first script: a proxy without Lua never has it in memory. */
import { createRequire } from 'node:module';
import type { LuaApi, LuaFunction, LuaState, LuaString } from 'fengari/src/lua.js';

export type { LuaFunction, LuaState } from 'fengari/src/lua.js';

interface LuaAuxiliary {
  luaL_newstate(): LuaState;
  luaL_loadbuffer(state: LuaState, code: LuaString, size: number, name: LuaString): number;
  luaL_requiref(state: LuaState, name: LuaString, open: LuaFunction, global: number): void;
  luaL_ref(state: LuaState, table: number): number;
  luaL_unref(state: LuaState, table: number, reference: number): void;
  luaL_error(state: LuaState, format: LuaString, ...values: unknown[]): never;
  luaL_newmetatable(state: LuaState, name: LuaString): boolean | number;
  luaL_setmetatable(state: LuaState, name: LuaString): void;
  luaL_tolstring(state: LuaState, index: number): LuaString;
}

/** Lua's API, its auxiliary library and the libraries that scripts may use. */
export interface LuaVm {
  readonly api: LuaApi;
  readonly aux: LuaAuxiliary;
  /** `string`, `table`, `math`, `coroutine` and the base library; none that opens files or runs programs. */
  readonly libraries: readonly (readonly [name: string, open: LuaFunction])[];
}

let loaded: LuaVm | undefined;

export function luaVm(): LuaVm {
  if (loaded) return loaded;
  const load = createRequire(import.meta.url);
  const open = (file: string, name: string): LuaFunction => (load(`fengari/src/${file}.js`) as Record<string, LuaFunction>)[name]!;
  loaded = {
    api: load('fengari/src/lua.js') as LuaApi,
    aux: load('fengari/src/lauxlib.js') as LuaAuxiliary,
    libraries: [['_G', open('lbaselib', 'luaopen_base')], ['string', open('lstrlib', 'luaopen_string')], ['table', open('ltablib', 'luaopen_table')], ['math', open('lmathlib', 'luaopen_math')], ['coroutine', open('lcorolib', 'luaopen_coroutine')]],
  };
  return loaded;
}

/** Header values and bodies are bytes; one character each. */
export function toLua(text: string | Buffer): LuaString {
  return typeof text === 'string' ? Uint8Array.from(Buffer.from(text, 'latin1')) : Uint8Array.from(text);
}

export function fromLua(text: LuaString | null): string | undefined {
  return text === null ? undefined : Buffer.from(text).toString('latin1');
}
