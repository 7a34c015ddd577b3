/** A small language for structural schemas that carry their TypeScript type, so that a kind's fields are written down once. */
import { DURATION_OR_ZERO_RULE, DURATION_RULE } from './rules.ts';
import type { Schema } from './schema.ts';

declare const TYPE: unique symbol;

/** A schema whose valid values have the TypeScript type `T`. The type exists only for the compiler. */
export type Of<T> = Schema & { readonly [TYPE]: () => T };

/** A property that must be present. */
export interface Required<T> {
  readonly requiredProperty: Of<T>;
}

/** The TypeScript type of a schema's values. */
export type Infer<S> = S extends Of<infer T> ? T : never;

type Properties = Readonly<Record<string, Of<unknown> | Required<unknown>>>;
type Flatten<T> = { readonly [K in keyof T]: T[K] };
type ObjectOf<P extends Properties> = Flatten<
  { readonly [K in keyof P as P[K] extends Required<unknown> ? K : never]: P[K] extends Required<infer T> ? T : never } & {
    readonly [K in keyof P as P[K] extends Required<unknown> ? never : K]?: Infer<P[K]>;
  }
>;

const of = <T>(schema: Schema): Of<T> => schema as Of<T>;

/** A required property of {@link obj}. */
export function req<T>(schema: Of<T>): Required<T> {
  return { requiredProperty: schema };
}

/** An object with known fields; all are optional unless wrapped in {@link req}. */
export function obj<const P extends Properties>(properties: P, extra: Schema = {}): Of<ObjectOf<P>> {
  const plain: Record<string, Schema> = {};
  const required: string[] = [];
  for (const [name, property] of Object.entries(properties)) {
    if ('requiredProperty' in property) {
      required.push(name);
      plain[name] = property.requiredProperty;
    } else plain[name] = property;
  }
  return of({ type: 'object', properties: plain, ...(required.length > 0 ? { required } : {}), ...extra });
}

/** A map from names to values. */
export function map<T>(values: Of<T>, extra: Schema = {}): Of<Readonly<Record<string, T>>> {
  return of({ type: 'object', additionalProperties: values, ...extra });
}

/** How a list is merged and diffed. */
export interface ListOptions {
  /** Fields that identify an item: `x-kubernetes-list-type: map`, and the first one is the strategic merge key. */
  readonly mapKeys?: readonly string[];
  /** Merge key of strategic merge patches when it is not the first of the map keys, or when the list is no map. */
  readonly mergeKey?: string;
  /** Items are scalars and unique. With `merge`, strategic merge patches add to the list. */
  readonly set?: boolean;
  readonly merge?: boolean;
  /** `retainKeys`: keys of the old item that the patch does not name are dropped. */
  readonly retainKeys?: boolean;
  readonly atomic?: boolean;
}

/** A list; without options it has no list type (server-side apply treats it as atomic, strategic merge replaces it). */
export function list<T>(items: Of<T>, options: ListOptions = {}, extra: Schema = {}): Of<readonly T[]> {
  const { mapKeys, set, merge, retainKeys, atomic } = options;
  const mergeKey = options.mergeKey ?? mapKeys?.[0];
  return of({
    type: 'array',
    items,
    ...(mapKeys ? { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': mapKeys } : {}),
    ...(set ? { 'x-kubernetes-list-type': 'set' } : {}),
    ...(atomic ? { 'x-kubernetes-list-type': 'atomic' } : {}),
    ...(mergeKey === undefined ? {} : { 'x-kubernetes-patch-merge-key': mergeKey }),
    ...(mergeKey !== undefined || merge ? { 'x-kubernetes-patch-strategy': retainKeys ? 'merge,retainKeys' : 'merge' } : {}),
    ...extra,
  });
}

/** Any text. */
export function str(extra: Schema = {}): Of<string> {
  return of({ type: 'string', ...extra });
}

/** One of some texts. */
export function oneOf<const V extends readonly string[]>(...values: V): Of<V[number]> {
  return of({ type: 'string', enum: values });
}

/** A text with the given default. */
export function strDefault(value: string): Of<string> {
  return of({ type: 'string', default: value });
}

/** One of some texts; the first is the default. */
export function oneOfDefault<const V extends readonly [string, ...string[]]>(...values: V): Of<V[number]> {
  return of({ type: 'string', enum: values, default: values[0] });
}

/** A 32 bit integer. */
export function int(extra: Schema = {}): Of<number> {
  return of({ type: 'integer', format: 'int32', ...extra });
}

/** An unsigned 32 bit integer, as CRDs say it. */
export function uint(extra: Schema = {}): Of<number> {
  return of({ type: 'integer', minimum: 0, maximum: 4_294_967_295, ...extra });
}

/** A 64 bit integer. */
export function int64(extra: Schema = {}): Of<number> {
  return of({ type: 'integer', format: 'int64', ...extra });
}

/** A floating point number. */
export function num(extra: Schema = {}): Of<number> {
  return of({ type: 'number', format: 'double', ...extra });
}

export function bool(extra: Schema = {}): Of<boolean> {
  return of({ type: 'boolean', ...extra });
}

/** A `google.protobuf.BoolValue`: absent, null, true or false. */
export function boolValue(): Of<boolean | null> {
  return of({ type: 'boolean', nullable: true });
}

/** A port number or a port name. */
export function intOrString(extra: Schema = {}): Of<number | string> {
  return of({ 'x-kubernetes-int-or-string': true, ...extra });
}

/** A resource quantity, `500m`, `1Gi`, `2`. */
export function quantity(): Of<number | string> {
  return of({ 'x-kubernetes-int-or-string': true, description: 'quantity' });
}

/** A time, RFC 3339. */
export function time(): Of<string | null> {
  return of({ type: 'string', format: 'date-time', nullable: true });
}

/** A duration of at least 1 ms, as protobuf JSON and Go write it (`1.5s`, `1h30m`). */
export function duration(): Of<string> {
  return of({ type: 'string', 'x-kubernetes-validations': [{ rule: DURATION_RULE, message: 'must be a valid duration greater than 1ms' }] });
}

/** A duration that may be zero. */
export function durationOrZero(): Of<string> {
  return of({ type: 'string', 'x-kubernetes-validations': [{ rule: DURATION_OR_ZERO_RULE, message: 'must be a valid duration, 0s or more' }] });
}

/** Bytes in base64. */
export function bytes(): Of<string> {
  return of({ type: 'string', format: 'byte' });
}

/** An object whose fields are kept and not looked at. */
export function anyObject(extra: Schema = {}): Of<Readonly<Record<string, unknown>>> {
  return of({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true, ...extra });
}

/** Any JSON value. */
export function anything(extra: Schema = {}): Of<unknown> {
  return of({ 'x-kubernetes-preserve-unknown-fields': true, ...extra });
}

/** The same schema with more keywords. */
export function having<T>(schema: Of<T>, extra: Schema): Of<T> {
  return { ...schema, ...extra };
}

/** Gives a schema a hand-written TypeScript type (of {@link ObjectMeta} and the like). */
export function as<T>(schema: Schema): Of<T> {
  return of(schema);
}
