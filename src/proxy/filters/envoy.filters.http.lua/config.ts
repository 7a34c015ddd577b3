import { readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import type { DataSource } from '../../../xds/gen/envoy/config/core/v3/base_pb.ts';
import { LuaPerRouteSchema, LuaSchema } from '../../../xds/gen/envoy/extensions/filters/http/lua/v3/lua_pb.ts';
import { CLASSES } from './classes.ts';
import { LuaScript } from './script.ts';

export const PER_ROUTE_TYPE_URL = 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute';

/** The filter's scripts. */
export interface LuaConfig {
  readonly kind: 'filter';
  /** Runs where a route says nothing. */
  readonly main: LuaScript | undefined;
  readonly named: ReadonlyMap<string, LuaScript>;
}

/** What a route says. */
export type LuaRouteConfig = { readonly kind: 'disabled' } | { readonly kind: 'named'; readonly name: string } | { readonly kind: 'own'; readonly script: LuaScript };

/** Reads and loads scripts. @throws Error with Lua's message for one that cannot be loaded: it becomes a NACK, as with Envoy. */
export function parseLua(typeUrl: string, bytes: Uint8Array): LuaConfig | LuaRouteConfig {
  if (typeUrl === PER_ROUTE_TYPE_URL) {
    const { override } = fromBinary(LuaPerRouteSchema, bytes);
    if (override.case === 'name') return { kind: 'named', name: override.value };
    if (override.case === 'sourceCode') return { kind: 'own', script: new LuaScript(textOf(override.value), CLASSES) };
    return { kind: 'disabled' };
  }
  const config = fromBinary(LuaSchema, bytes);
  if (config.inlineCode !== '' && config.defaultSourceCode) throw new Error('Error: Only one of `inline_code` or `default_source_code` can be set for the Lua filter.');
  const code = config.defaultSourceCode ? textOf(config.defaultSourceCode) : config.inlineCode;
  return {
    kind: 'filter', main: code === '' ? undefined : new LuaScript(code, CLASSES),
    named: new Map(Object.entries(config.sourceCodes).map(([name, source]) => [name, new LuaScript(textOf(source), CLASSES)])),
  };
}

function textOf({ specifier }: DataSource): string {
  switch (specifier.case) {
    case 'inlineString': return specifier.value;
    case 'inlineBytes': return new TextDecoder().decode(specifier.value);
    case 'filename': return readFileSync(specifier.value, 'utf8');
    case 'environmentVariable': return process.env[specifier.value] ?? '';
    default: return '';
  }
}
