import { createLogger } from '../../../base/log.ts';
import type { RequestHead, ResponseHead } from '../../http/message.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory, ResponseWait } from '../http-filter.ts';
import type { HandleObject } from './classes.ts';
import { parseLua, PER_ROUTE_TYPE_URL } from './config.ts';
import type { LuaConfig, LuaRouteConfig } from './config.ts';
import type { LuaScript } from './script.ts';

const log = createLogger('lua');

const TOO_LARGE = { status: 413, body: 'Payload Too Large', details: 'request_payload_too_large' };
const RESPONSE_TOO_LARGE = { status: 500, body: 'Internal Server Error', details: 'response_payload_too_large' };

/** Runs scripts over requests and responses. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/lua_filter */
export const luaFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.lua',
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua',
  routeTypeUrl: PER_ROUTE_TYPE_URL,
  parse: parseLua,
  create(config, routeConfig) {
    const script = scriptOf(config as LuaConfig, routeConfig as LuaRouteConfig | undefined);
    return script && new LuaFilter(script);
  },
};

function scriptOf(config: LuaConfig, route: LuaRouteConfig | undefined): LuaScript | undefined {
  switch (route?.kind) {
    case undefined: return config.main;
    case 'disabled': return undefined;
    case 'named': return config.named.get(route.name);
    case 'own': return route.script;
  }
}

class LuaFilter implements HttpFilter {
  readonly readsBodies = true;
  private readonly onBoth: { readonly request: boolean; readonly response: boolean };

  constructor(private readonly script: LuaScript) {
    this.onBoth = { request: script.has('envoy_on_request'), response: script.has('envoy_on_response') };
  }

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    if (!this.onBoth.request) return CONTINUE;
    const handle = handleOf('request', head, context);
    let verdict: FilterVerdict | undefined;
    let resume: ((verdict: FilterVerdict) => void) | undefined;
    const settle = (): void => {
      if (verdict !== undefined) return;
      if (handle.changed) context.refreshRoute();
      verdict = handle.tooLarge ? { kind: 'reply', reply: TOO_LARGE } : handle.reply ? { kind: 'reply', reply: handle.reply } : CONTINUE;
      resume?.(verdict);
    };
    const cancel = this.run('envoy_on_request', handle, settle);
    if (verdict !== undefined) return verdict;
    return {
      kind: 'wait',
      start: (later) => {
        resume = later;
        return cancel;
      },
    };
  }

  onResponse(head: ResponseHead, context: FilterContext): ResponseWait | undefined {
    if (!this.onBoth.response) return undefined;
    const handle = handleOf('response', head, context);
    let settled = false;
    let resume: (() => void) | undefined;
    const cancel = this.run('envoy_on_response', handle, () => {
      settled = true;
      if (handle.tooLarge) context.bodies.replaceByReply(RESPONSE_TOO_LARGE);
      else resume?.();
    });
    if (settled) return undefined;
    return (later) => {
      resume = later;
      return cancel;
    };
  }

  /** `settle` is called once: when the callback ended, answered, or asked for too much. A script that fails lets its message go on, as in Envoy. */
  private run(callback: string, handle: HandleObject, settle: () => void): () => void {
    const cancel = this.script.run(callback, handle, (outcome) => {
      if (outcome.kind === 'error') log.error(`script log: ${outcome.message}`);
      settle();
    }, () => {
      // `respond` never returns to the script.
      if (handle.reply === undefined && !handle.tooLarge) return false;
      settle();
      return true;
    });
    return cancel;
  }
}

function handleOf(direction: HandleObject['direction'], head: RequestHead | ResponseHead, context: FilterContext): HandleObject {
  return { kind: 'stream', direction, head, context, changed: false, body: undefined, reply: undefined, tooLarge: false };
}
