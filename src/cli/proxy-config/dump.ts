/** A proxy's config_dump, Envoy's or ours, as typed pieces. Field names in either protobuf JSON spelling are read. */

export type Json = { readonly [key: string]: unknown };

export interface ConfigDump {
  readonly bootstrap: Json | undefined;
  readonly listeners: readonly Json[];
  readonly clusters: readonly Json[];
  readonly routes: readonly Json[];
  readonly endpoints: readonly Json[];
  readonly secrets: readonly { readonly name: string; readonly state: 'ACTIVE' | 'UNINITIALIZED' | 'WARMING'; readonly secret: Json }[];
  /** ECDS entries: name and type of the inner config. */
  readonly extensionConfigs: readonly Json[];
  /** The dump as it was read, for JSON and YAML output. */
  readonly raw: readonly Json[];
}

/** Parses the text of `/config_dump`; throws an Error that says what is not right with it. */
export function parseConfigDump(text: string): ConfigDump {
  const parsed: unknown = JSON.parse(text);
  const configs = isJson(parsed) && Array.isArray(parsed['configs']) ? (parsed['configs'] as readonly Json[]) : undefined;
  if (!configs) throw new Error('this is no config dump: it has no "configs" list');
  const section = (kind: string) => configs.filter((config) => String(config['@type']).endsWith(`.${kind}ConfigDump`)).map((config) => camel(config) as Json);
  const unwrap = (kind: string, sources: readonly (readonly [list: string, path: readonly string[]])[]) =>
    section(kind).flatMap((dump) => sources.flatMap(([list, path]) => items(dump[list]).map((entry) => at(entry, path)).filter(isJson)));
  return {
    bootstrap: section('Bootstrap')[0],
    listeners: unwrap('Listeners', [['dynamicListeners', ['activeState', 'listener']], ['staticListeners', ['listener']]]),
    clusters: unwrap('Clusters', [['dynamicActiveClusters', ['cluster']], ['staticClusters', ['cluster']]]),
    routes: unwrap('Routes', [['dynamicRouteConfigs', ['routeConfig']], ['staticRouteConfigs', ['routeConfig']]]),
    endpoints: unwrap('Endpoints', [['dynamicEndpointConfigs', ['endpointConfig']], ['staticEndpointConfigs', ['endpointConfig']]]),
    secrets: section('Secrets').flatMap((dump) => [
      ...items(dump['dynamicWarmingSecrets']).map((entry) => ({ name: text_(entry['name']), state: 'WARMING' as const, secret: json(entry['secret']) })),
      // A secret that the proxy asked for and has no answer to yet.
      ...items(dump['dynamicActiveSecrets']).map((entry) => ({ name: text_(entry['name']), state: entry['versionInfo'] === 'uninitialized' ? ('UNINITIALIZED' as const) : ('ACTIVE' as const), secret: json(entry['secret']) })),
    ]),
    extensionConfigs: unwrap('Ecds', [['ecdsFilters', ['ecdsFilter']]]),
    raw: configs,
  };
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One kind of section as a message of its own, as istioctl prints it; several of a kind become one. */
export function sectionOf(dump: ConfigDump, kind: string): Json {
  const merged: Record<string, unknown> = {};
  for (const section of dump.raw.filter((config) => String(config['@type']).endsWith(`.${kind}ConfigDump`)).map((config) => camel(config) as Json))
    for (const [key, value] of Object.entries(untyped(section))) merged[key] = Array.isArray(value) && Array.isArray(merged[key]) ? [...(merged[key] as readonly unknown[]), ...(value as readonly unknown[])] : value;
  return merged;
}

/** A message without the type that it carried inside an Any. */
export function untyped(message: Json): Json {
  const { '@type': _type, ...fields } = message;
  return fields;
}

/** A map, or an empty one. */
export function json(value: unknown): Json {
  return isJson(value) ? value : {};
}

/** A list of maps, or an empty one. */
export function items(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.filter(isJson) : [];
}

/** A list of strings, or an empty one. */
export function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}

function text_(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A scalar as text; absent is ''. */
export const textOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '');

/** The value at a path of keys, undefined where it ends early. */
export function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((current, key) => (isJson(current) && Object.hasOwn(current, key) ? current[key] : undefined), value);
}

/** snake_case field names to lowerCamelCase. Keys of user maps that look like field names change too, which no table shows. */
function camel(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camel);
  if (!isJson(value)) return value;
  const out: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [key, inner] of Object.entries(value)) out[/^[a-z][a-z0-9]*(_[a-z0-9]+)+$/.test(key) ? key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) : key] = camel(inner);
  return out;
}
