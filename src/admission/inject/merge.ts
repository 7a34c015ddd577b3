// Strategic merge of pod fragments: what a template adds, and what a user's own container overrides.
import type { Json, JsonObject } from './types.ts';

/** Lists of objects that are merged by a key; all other lists are replaced. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ (patch strategy) */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name', initContainers: 'name', ephemeralContainers: 'name', env: 'name', volumes: 'name', imagePullSecrets: 'name',
  volumeMounts: 'mountPath', volumeDevices: 'devicePath', ports: 'containerPort', hostAliases: 'ip', topologySpreadConstraints: 'topologyKey',
};

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `patch` over `base`: maps deeply, keyed lists by their key, null removes. */
export function mergeStrategic<T extends JsonObject>(base: T, patch: JsonObject): T {
  const result: Record<string, Json | undefined> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined || key === '__proto__') continue;
    if (value === null) delete result[key];
    else result[key] = mergeValue(key, result[key], value);
  }
  return result as T;
}

function mergeValue(key: string, base: Json | undefined, patch: Json): Json {
  if (isObject(patch)) return isObject(base) ? mergeStrategic(base, patch) : dropNulls(patch);
  const mergeKey = MERGE_KEYS[key];
  if (!Array.isArray(patch) || !Array.isArray(base) || mergeKey === undefined) return dropNulls(patch);
  const keyOf = (item: Json): Json | undefined => (isObject(item) ? item[mergeKey] : undefined);
  const merged = patch.map((item: Json) => {
    const existing = base.find((other: Json) => keyOf(other) === keyOf(item));
    if (!isObject(item) || !isObject(existing)) return dropNulls(item);
    // A volume has one source: a new one replaces the old.
    return mergeStrategic(key === 'volumes' && Object.keys(item).length > 1 ? pick(existing, Object.keys(item)) : existing, item);
  });
  return inOrder(base, merged, keyOf);
}

/** New elements come before those of `base`; what `base` knows keeps its place there, as long as the patch's own order allows. */
function inOrder(base: readonly Json[], merged: readonly Json[], keyOf: (item: Json) => Json | undefined): Json[] {
  const place = (item: Json): number => base.findIndex((other) => keyOf(other) === keyOf(item));
  const left = base.filter((item) => !merged.some((other) => keyOf(other) === keyOf(item)));
  const result: Json[] = [];
  let at = 0;
  for (const item of merged) {
    while (at < left.length && place(item) >= 0 && place(left[at]!) < place(item)) result.push(left[at++]!);
    result.push(item);
  }
  return [...result, ...left.slice(at)];
}

function pick(object: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => keys.includes(key)));
}

/** A copy without undefined and null members: what a YAML template with empty values means. */
export function dropNulls<T extends Json>(value: T): T {
  if (Array.isArray(value)) return value.map((item: Json) => dropNulls(item)) as unknown as T;
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined && member !== null).map(([key, member]) => [key, dropNulls(member as Json)])) as T;
}
