import { luaVm, toLua, type LuaFunction, type LuaState } from './vm.ts';

/** VM instructions one callback may run before it is ended: about a tenth of a second. */
const MAX_INSTRUCTIONS = 1_000_000;
const HOOK_EVERY = 10_000;
const LIMIT_MESSAGE = `script exceeded ${MAX_INSTRUCTIONS} instructions`;

/** What LuaJIT scripts expect and Lua 5.3 lacks. */
const PRELUDE = `
unpack = table.unpack
loadstring = load
math.pow = math.pow or function(a, b) return a ^ b end
table.getn = function(t) return #t end
bit = {
  band = function(a, b) return a & b end, bor = function(a, b) return a | b end, bxor = function(a, b) return a ~ b end, bnot = function(a) return ~a end,
  lshift = function(a, n) return (a << n) & 0xffffffff end, rshift = function(a, n) return (a & 0xffffffff) >> n end,
}
EnvoyTimestampResolution = { MILLISECOND = 0, MICROSECOND = 1 }
dofile = nil
loadfile = nil
-- An error inside of the instruction hook turns the hook off in Fengari, and the limit must not be caught.
local protected, protectedWith, recheck = pcall, xpcall, __recheck
pcall = function(...) return recheck(protected(...)) end
xpcall = function(...) return recheck(protectedWith(...)) end
__recheck = nil
`;

/** A value a script may hold that is an object of ours. */
export interface LuaObject {
  /** Name of its class in a class table. */
  readonly kind: string;
}

/** Values that cross between us and Lua. */
export type LuaValue = undefined | null | boolean | number | string | Buffer | LuaObject | LuaFunction | readonly LuaValue[] | ReadonlyMap<string, LuaValue>;

/** A method: gets the object and the call, returns values, or asks to wait. */
export type LuaMethod<T extends LuaObject = LuaObject> = (self: T, call: LuaCall) => readonly LuaValue[] | LuaWait;

/** The callback stops here and goes on with the values that `resume` is given. */
export interface LuaWait {
  readonly wait: (resume: (values: readonly LuaValue[]) => void) => void;
}

/** The arguments of a method call, from 1. */
export interface LuaCall {
  readonly count: number;
  text(index: number): string | undefined;
  bytes(index: number): Buffer | undefined;
  number(index: number): number | undefined;
  boolean(index: number): boolean;
  /** String keys; values are text, or lists of text. */
  table(index: number): ReadonlyMap<string, string | readonly string[]> | undefined;
  object(index: number): LuaObject | undefined;
  /** A function for `for … in`: gives the rows one after the other. */
  iterator(rows: readonly (readonly LuaValue[])[]): LuaFunction;
  /** Ends the callback with this error. */
  fail(message: string): never;
}

export type LuaClasses = Readonly<Record<string, Readonly<Record<string, LuaMethod<never>>>>>;

/** How a callback ended. */
export type LuaOutcome = { readonly kind: 'done' } | { readonly kind: 'error'; readonly message: string } | { readonly kind: 'waiting'; readonly wait: LuaWait };

/** One loaded script: its globals are shared by all requests, as in one of Envoy's workers. */
export class LuaScript {
  private readonly state: LuaState;
  private pending: LuaWait | undefined;
  /** Of the callback that runs now; filled again whenever one starts or goes on. */
  private left = MAX_INSTRUCTIONS;

  /** @throws Error with Lua's message when the script cannot be loaded. */
  constructor(
    code: string,
    private readonly classes: LuaClasses,
  ) {
    const { api, aux, libraries } = luaVm();
    const state = aux.luaL_newstate();
    this.state = state;
    for (const [name, open] of libraries) {
      aux.luaL_requiref(state, toLua(name), open, 1);
      api.lua_pop(state, 1);
    }
    for (const [name, methods] of Object.entries(classes)) this.define(name, methods);
    api.lua_pushcfunction(state, (caller) => this.recheck(caller));
    api.lua_setglobal(state, toLua('__recheck'));
    this.load(PRELUDE, 'prelude');
    this.load(code, code);
  }

  private load(code: string, name: string): void {
    const { api, aux } = luaVm();
    const bytes = Uint8Array.from(Buffer.from(code));
    this.limit(this.state);
    this.left = MAX_INSTRUCTIONS;
    const status = aux.luaL_loadbuffer(this.state, bytes, bytes.length, Uint8Array.from(Buffer.from(name)));
    if (status !== api.LUA_OK || api.lua_pcall(this.state, 0, 0, 0) !== api.LUA_OK) {
      const message = this.topText(this.state);
      throw new Error(`script load error: ${message}`);
    }
  }

  /** Does the script have this callback? */
  has(name: string): boolean {
    const { api } = luaVm();
    const type = api.lua_getglobal(this.state, toLua(name));
    api.lua_pop(this.state, 1);
    return type === api.LUA_TFUNCTION;
  }

  /**
   * Runs a callback on an object until it ends or waits; `settled` is called once, when it has ended. `leaves` is asked when it waits: true = it never
   * goes on, and `settled` is not called. What is returned gives up.
   */
  run(name: string, self: LuaObject, settled: (outcome: Exclude<LuaOutcome, { kind: 'waiting' }>) => void, leaves: () => boolean): () => void {
    const { api, aux } = luaVm();
    const thread = api.lua_newthread(this.state);
    // Anchored while it lives: nothing else knows it.
    const anchor = aux.luaL_ref(this.state, api.LUA_REGISTRYINDEX);
    this.limit(thread);
    api.lua_getglobal(thread, toLua(name));
    this.push(thread, self);
    let over = false;
    const finish = (outcome: Exclude<LuaOutcome, { kind: 'waiting' }>): void => {
      over = true;
      aux.luaL_unref(this.state, api.LUA_REGISTRYINDEX, anchor);
      settled(outcome);
    };
    const step = (count: number): void => {
      const outcome = this.resume(thread, count);
      if (outcome.kind !== 'waiting') {
        finish(outcome);
        return;
      }
      if (leaves()) {
        over = true;
        aux.luaL_unref(this.state, api.LUA_REGISTRYINDEX, anchor);
        return;
      }
      // A wait may end before this call returns.
      let answered = false;
      outcome.wait.wait((values) => {
        if (over || answered) return;
        answered = true;
        if (leaves()) {
          over = true;
          aux.luaL_unref(this.state, api.LUA_REGISTRYINDEX, anchor);
          return;
        }
        for (const value of values) this.push(thread, value);
        step(values.length);
      });
    };
    step(1);
    return () => {
      if (over) return;
      over = true;
      aux.luaL_unref(this.state, api.LUA_REGISTRYINDEX, anchor);
    };
  }

  private resume(thread: LuaState, count: number): LuaOutcome {
    const { api } = luaVm();
    this.pending = undefined;
    this.left = MAX_INSTRUCTIONS;
    const status = api.lua_resume(thread, null, count);
    if (status === api.LUA_OK) return { kind: 'done' };
    if (status !== api.LUA_YIELD) return { kind: 'error', message: this.topText(thread) };
    api.lua_settop(thread, 0);
    const wait = this.pending as LuaWait | undefined;
    return wait === undefined ? { kind: 'error', message: 'script performed an unexpected yield' } : { kind: 'waiting', wait };
  }

  private recheck(caller: LuaState): number {
    const { api, aux } = luaVm();
    (caller as unknown as { allowhook: number }).allowhook = 1;
    if (this.left < 0) aux.luaL_error(caller, toLua(LIMIT_MESSAGE));
    return api.lua_gettop(caller);
  }

  private limit(state: LuaState): void {
    const { api, aux } = luaVm();
    api.lua_sethook(state, (running) => {
      this.left -= HOOK_EVERY;
      if (this.left < 0) aux.luaL_error(running, toLua(LIMIT_MESSAGE));
    }, api.LUA_MASKCOUNT, HOOK_EVERY);
  }

  private define(name: string, methods: Readonly<Record<string, LuaMethod<never>>>): void {
    const { api, aux } = luaVm();
    const { state } = this;
    aux.luaL_newmetatable(state, toLua(name));
    api.lua_newtable(state);
    for (const [method, run] of Object.entries(methods)) {
      const meta = method.startsWith('__');
      api.lua_pushcfunction(state, (caller) => this.invoke(caller, `${name}:${method}`, name, run as unknown as LuaMethod));
      api.lua_setfield(state, meta ? -3 : -2, toLua(method));
    }
    api.lua_setfield(state, -2, toLua('__index'));
    api.lua_pop(state, 1);
  }

  private invoke(caller: LuaState, label: string, kind: string, run: LuaMethod): number {
    const { api, aux } = luaVm();
    const self = api.lua_touserdata(caller, 1)?.['object'] as LuaObject | undefined;
    const fail = (message: string): never => aux.luaL_error(caller, toLua(message.replaceAll('%', '%%')));
    if (self?.kind !== kind) return fail(`${label} was called without its object; use ":"`);
    const result = run(self, callOf(caller, fail, (rows) => this.iterator(rows)));
    if (!('wait' in result)) {
      for (const value of result) this.push(caller, value);
      return result.length;
    }
    this.pending = result;
    return api.lua_yield(caller, 0);
  }

  private iterator(rows: readonly (readonly LuaValue[])[]): LuaFunction {
    let next = 0;
    return (state) => {
      const row = rows[next++] ?? [null];
      for (const value of row) this.push(state, value);
      return row.length;
    };
  }

  private push(state: LuaState, value: LuaValue): void {
    const { api, aux } = luaVm();
    if (value === undefined || value === null) api.lua_pushnil(state);
    else if (typeof value === 'boolean') api.lua_pushboolean(state, value);
    else if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 0x7fffffff) api.lua_pushinteger(state, value);
    else if (typeof value === 'number') api.lua_pushnumber(state, value);
    else if (typeof value === 'string' || Buffer.isBuffer(value)) api.lua_pushstring(state, toLua(value));
    else if (typeof value === 'function') api.lua_pushcfunction(state, value);
    else if (Array.isArray(value)) {
      api.lua_newtable(state);
      for (const [index, item] of (value as readonly LuaValue[]).entries()) {
        this.push(state, item);
        api.lua_rawseti(state, -2, index + 1);
      }
    } else if (value instanceof Map) {
      api.lua_newtable(state);
      for (const [key, item] of value as ReadonlyMap<string, LuaValue>) {
        api.lua_pushstring(state, toLua(key));
        this.push(state, item);
        api.lua_rawset(state, -3);
      }
    } else {
      const object = value as LuaObject;
      if (!Object.hasOwn(this.classes, object.kind)) throw new Error(`no Lua class ${object.kind}`);
      api.lua_newuserdata(state, 0)['object'] = object;
      aux.luaL_setmetatable(state, toLua(object.kind));
    }
  }

  private topText(state: LuaState): string {
    const { api } = luaVm();
    // The stack of a thread that failed must not be touched any more: only its top is read.
    const text = api.lua_tostring(state, -1);
    return text === null ? 'an error that is no text' : Buffer.from(text).toString();
  }
}

function callOf(state: LuaState, fail: (message: string) => never, iterator: LuaCall['iterator']): LuaCall {
  const { api } = luaVm();
  const raw = (index: number): Buffer | undefined => {
    const type = api.lua_type(state, index + 1);
    if (type !== api.LUA_TSTRING && type !== api.LUA_TNUMBER) return undefined;
    return Buffer.from(api.lua_tostring(state, index + 1)!);
  };
  return {
    count: api.lua_gettop(state) - 1,
    bytes: raw,
    text: (index) => raw(index)?.toString('latin1'),
    number: (index) => (api.lua_type(state, index + 1) === api.LUA_TNUMBER ? api.lua_tonumber(state, index + 1) : undefined),
    boolean: (index) => api.lua_toboolean(state, index + 1),
    object: (index) => api.lua_touserdata(state, index + 1)?.['object'] as LuaObject | undefined,
    table: (index) => (api.lua_type(state, index + 1) === api.LUA_TTABLE ? readTable(state, index + 1) : undefined),
    iterator,
    fail,
  };
}

function readTable(state: LuaState, index: number): ReadonlyMap<string, string | readonly string[]> {
  const { api } = luaVm();
  const at = api.lua_absindex(state, index);
  const table = new Map<string, string | readonly string[]>();
  api.lua_pushnil(state);
  while (api.lua_next(state, at) !== 0) {
    api.lua_pushvalue(state, -2);
    const key = Buffer.from(api.lua_tostring(state, -1) ?? []).toString('latin1');
    api.lua_pop(state, 1);
    const value = api.lua_type(state, -1) === api.LUA_TTABLE ? [...readTable(state, -1).values()].flat() : api.lua_type(state, -1) === api.LUA_TBOOLEAN ? String(api.lua_toboolean(state, -1)) : Buffer.from(api.lua_tostring(state, -1) ?? []).toString('latin1');
    table.set(key, value);
    api.lua_pop(state, 1);
  }
  return table;
}
