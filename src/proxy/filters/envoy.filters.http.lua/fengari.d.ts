/** The parts of Fengari that are used: a Lua 5.3 in JavaScript with Lua's own C API. It ships no types. */
declare module 'fengari/src/lua.js' {
  export type LuaState = { readonly __luaState: never };
  export type LuaString = Uint8Array;
  export type LuaFunction = (state: LuaState) => number;
  export interface LuaApi {
    readonly LUA_OK: number;
    readonly LUA_YIELD: number;
    readonly LUA_MASKCOUNT: number;
    readonly LUA_REGISTRYINDEX: number;
    readonly LUA_TNIL: number;
    readonly LUA_TSTRING: number;
    readonly LUA_TNUMBER: number;
    readonly LUA_TBOOLEAN: number;
    readonly LUA_TTABLE: number;
    readonly LUA_TFUNCTION: number;
    lua_newthread(state: LuaState): LuaState;
    lua_resume(state: LuaState, from: LuaState | null, count: number): number;
    lua_yield(state: LuaState, count: number): number;
    lua_sethook(state: LuaState, hook: ((state: LuaState) => void) | null, mask: number, count: number): void;
    lua_gettop(state: LuaState): number;
    lua_settop(state: LuaState, index: number): void;
    lua_pop(state: LuaState, count: number): void;
    lua_pcall(state: LuaState, args: number, results: number, handler: number): number;
    lua_pushnil(state: LuaState): void;
    lua_pushboolean(state: LuaState, value: boolean): void;
    lua_pushinteger(state: LuaState, value: number): void;
    lua_pushnumber(state: LuaState, value: number): void;
    lua_pushstring(state: LuaState, value: LuaString): void;
    lua_pushcfunction(state: LuaState, fn: LuaFunction): void;
    lua_pushvalue(state: LuaState, index: number): void;
    lua_newtable(state: LuaState): void;
    lua_setfield(state: LuaState, index: number, name: LuaString): void;
    lua_getfield(state: LuaState, index: number, name: LuaString): number;
    lua_rawset(state: LuaState, index: number): void;
    lua_rawseti(state: LuaState, index: number, key: number): void;
    lua_rawgeti(state: LuaState, index: number, key: number): number;
    lua_getglobal(state: LuaState, name: LuaString): number;
    lua_setglobal(state: LuaState, name: LuaString): void;
    lua_setmetatable(state: LuaState, index: number): void;
    lua_newuserdata(state: LuaState, size: number): Record<string, unknown>;
    lua_touserdata(state: LuaState, index: number): Record<string, unknown> | null;
    lua_type(state: LuaState, index: number): number;
    lua_tostring(state: LuaState, index: number): LuaString | null;
    lua_tonumber(state: LuaState, index: number): number;
    lua_toboolean(state: LuaState, index: number): boolean;
    lua_isinteger(state: LuaState, index: number): boolean;
    lua_next(state: LuaState, index: number): number;
    lua_xmove(from: LuaState, to: LuaState, count: number): void;
    lua_absindex(state: LuaState, index: number): number;
  }
}
