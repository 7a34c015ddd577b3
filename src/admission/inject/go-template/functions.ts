// Functions an injection template may call: Go's own, Istio's, and those of sprig that Istio's templates use.
import { parse, stringify } from 'yaml';
import { isTrue, printed, type TemplateFunctions } from './render.ts';

type Map_ = Readonly<Record<string, unknown>>;

const text = (value: unknown): string => (value === undefined || value === null ? '' : printed(value));
const isMap = (value: unknown): value is Map_ => typeof value === 'object' && value !== null && !Array.isArray(value);
const get = (value: unknown, key: unknown): unknown => {
  if (Array.isArray(value)) return value[Number(key)] as unknown;
  return isMap(value) && Object.hasOwn(value, text(key)) ? value[text(key)] : undefined;
};
const equal = (a: unknown, b: unknown): boolean => a === b || ((a ?? '') === '' && (b ?? '') === '') || JSON.stringify(a) === JSON.stringify(b);
const compare = (a: unknown, b: unknown): number => (typeof a === 'number' && typeof b === 'number' ? a - b : text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0);
const sizeOf = (value: unknown): number => (typeof value === 'string' || Array.isArray(value) ? value.length : isMap(value) ? Object.keys(value).length : 0);
const annotationsOf = (meta: unknown): Map_ => (isMap(meta) && isMap(meta['annotations']) ? meta['annotations'] : {});
const indent = (count: unknown, value: unknown): string => text(value).split('\n').map((line) => ' '.repeat(Number(count)) + line).join('\n');
const without = (map: unknown, keys: readonly unknown[]): Map_ => Object.fromEntries(Object.entries(isMap(map) ? map : {}).filter(([key]) => !keys.includes(key)));
const yaml = (value: unknown): string => (value === undefined ? 'null' : stringify(value, { lineWidth: 0 }).replace(/\n$/, ''));

/** Excluded inbound ports with the status port, as the built-in templates write them. */
function excludeInboundPort(port: unknown, excluded: unknown): string {
  const status = text(port);
  const ports = text(excluded).split(',').filter((one) => one !== '');
  return (status === '' || status === '0' || ports.includes(status) ? ports : [...ports, status]).join(',');
}

function printf(format: unknown, ...args: readonly unknown[]): string {
  let at = 0;
  return text(format).replace(/%([-+ 0]*\d*(?:\.\d+)?)([a-zA-Z%])/g, (_whole, _flags: string, verb: string) => {
    if (verb === '%') return '%';
    const value = args[at++];
    return verb === 'q' ? JSON.stringify(text(value)) : verb === 'd' ? String(Math.trunc(Number(value))) : text(value);
  });
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'invalid';
  if (Array.isArray(value)) return 'slice';
  return typeof value === 'boolean' ? 'bool' : typeof value === 'number' ? (Number.isInteger(value) ? 'int64' : 'float64') : typeof value === 'string' ? 'string' : 'map';
}

function trimAll(cut: string, value: string): string {
  let [from, to] = [0, value.length];
  while (from < to && cut.includes(value[from]!)) from++;
  while (to > from && cut.includes(value[to - 1]!)) to--;
  return value.slice(from, to);
}

const LANGUAGE: readonly (readonly [string, (...args: readonly unknown[]) => unknown])[] = [
  ['and', (...values) => values.find((value) => !isTrue(value)) ?? values[values.length - 1]],
  ['or', (...values) => values.find((value) => isTrue(value)) ?? values[values.length - 1]],
  ['not', (value) => !isTrue(value)],
  ['eq', (first, ...others) => others.some((other) => equal(first, other))],
  ['ne', (a, b) => !equal(a, b)],
  ['lt', (a, b) => compare(a, b) < 0], ['le', (a, b) => compare(a, b) <= 0], ['gt', (a, b) => compare(a, b) > 0], ['ge', (a, b) => compare(a, b) >= 0],
  ['len', sizeOf],
  ['index', (value, ...keys) => keys.reduce(get, value)],
  ['slice', (value, from, to) => (typeof value === 'string' || Array.isArray(value) ? value.slice(Number(from ?? 0), to === undefined ? undefined : Number(to)) : value)],
  ['print', (...values) => values.map(text).join('')], ['println', (...values) => `${values.map(text).join(' ')}\n`], ['printf', printf],
];

const ISTIO: typeof LANGUAGE = [
  ['annotation', (meta, name, otherwise) => get(annotationsOf(meta), name) ?? text(otherwise)],
  ['isset', (map, key) => isMap(map) && Object.hasOwn(map, text(key))],
  ['valueOrDefault', (value, otherwise) => ((value ?? '') === '' ? otherwise : value)],
  ['excludeInboundPort', excludeInboundPort],
  ['toJSON', (value) => JSON.stringify(value ?? {})], ['structToJSON', (value) => JSON.stringify(value ?? {})], ['protoToJSON', (value) => JSON.stringify(value ?? {})],
  ['toJsonMap', (...pairs) => JSON.stringify(Object.fromEntries(pairs.flatMap((key, index) => (index % 2 === 0 ? [[text(key), pairs[index + 1]]] : []))))],
  ['fromJSON', (value) => JSON.parse(text(value)) as unknown],
  ['toYaml', yaml], ['fromYaml', (value) => parse(text(value)) as unknown], ['indent', indent],
  ['directory', (path) => text(path).replace(/[^/]*$/, '')], ['contains', (part, whole) => text(whole).includes(text(part))],
  ['toLower', (value) => text(value).toLowerCase()], ['env', (_name, otherwise) => otherwise], ['omit', (map, ...keys) => without(map, keys)],
  ['omitNil', (map) => Object.fromEntries(Object.entries(isMap(map) ? map : {}).filter(([, value]) => value !== null && value !== undefined))],
  ['strdict', (...pairs) => Object.fromEntries(pairs.flatMap((key, index) => (index % 2 === 0 ? [[text(key), text(pairs[index + 1])]] : [])))],
  ['mergeMaps', (...maps) => Object.assign({}, ...maps.filter(isMap)) as unknown],
];

const SPRIG: typeof LANGUAGE = [
  ['default', (otherwise, value) => (isTrue(value) ? value : otherwise)], ['empty', (value) => !isTrue(value)], ['coalesce', (...values) => values.find((value) => isTrue(value))],
  ['ternary', (yes, no, condition) => (isTrue(condition) ? yes : no)],
  ['quote', (...values) => values.filter((value) => value !== undefined && value !== null).map((value) => JSON.stringify(text(value))).join(' ')], ['squote', (value) => `'${text(value)}'`],
  ['trunc', (count, value) => (Number(count) < 0 ? text(value).slice(Number(count)) : text(value).slice(0, Number(count)))], ['title', (value) => text(value).replace(/\b[a-z]/g, (letter) => letter.toUpperCase())],
  ['regexMatch', (pattern, value) => new RegExp(text(pattern)).test(text(value))], ['repeat', (count, value) => text(value).repeat(Math.max(0, Number(count)))], ['kindIs', (kind, value) => kindOf(value) === kind], ['kindOf', kindOf],
  ['keys', (map) => (isMap(map) ? Object.keys(map) : [])], ['values', (map) => (isMap(map) ? Object.values(map) : [])], ['pick', (map, ...keys) => Object.fromEntries(Object.entries(isMap(map) ? map : {}).filter(([key]) => keys.includes(key)))],
  ['last', (list) => (Array.isArray(list) ? (list as unknown[]).at(-1) : undefined)], ['rest', (list) => (Array.isArray(list) ? list.slice(1) : [])], ['uniq', (list) => (Array.isArray(list) ? [...new Set(list as unknown[])] : [])],
  ['sortAlpha', (list) => (Array.isArray(list) ? (list as unknown[]).map(text).sort() : [])], ['trimAll', (cut, value) => trimAll(text(cut), text(value))], ['fail', (message) => { throw new Error(text(message)); }],
  ['upper', (value) => text(value).toUpperCase()], ['lower', (value) => text(value).toLowerCase()], ['trim', (value) => text(value).trim()],
  ['trimSuffix', (end, value) => (text(value).endsWith(text(end)) && text(end) !== '' ? text(value).slice(0, -text(end).length) : text(value))],
  ['trimPrefix', (start, value) => (text(value).startsWith(text(start)) ? text(value).slice(text(start).length) : text(value))],
  ['hasPrefix', (start, value) => text(value).startsWith(text(start))], ['hasSuffix', (end, value) => text(value).endsWith(text(end))],
  ['replace', (from, to, value) => text(value).replaceAll(text(from), text(to))], ['nindent', (count, value) => `\n${indent(count, value)}`],
  ['join', (by, list) => (Array.isArray(list) ? list.map(text).join(text(by)) : text(list))], ['splitList', (by, value) => text(value).split(text(by))],
  ['list', (...values) => values], ['append', (list, value) => [...(Array.isArray(list) ? (list as unknown[]) : []), value]], ['first', (list) => get(list, 0)],
  ['dict', (...pairs) => Object.fromEntries(pairs.flatMap((key, index) => (index % 2 === 0 ? [[text(key), pairs[index + 1]]] : [])))],
  ['hasKey', (map, key) => isMap(map) && Object.hasOwn(map, text(key))], ['get', (map, key) => get(map, key) ?? ''], ['has', (item, list) => Array.isArray(list) && list.some((one) => equal(one, item))],
  ['int', (value) => Math.trunc(Number(value) || 0)], ['toString', text], ['add', (...values) => values.reduce((sum: number, value) => sum + Number(value), 0)], ['sub', (a, b) => Number(a) - Number(b)],
  ['toJson', (value) => JSON.stringify(value ?? null)], ['fromJson', (value) => JSON.parse(text(value)) as unknown],
];

/** All of them by name. `__proto__` keys made by a template stay inside plain objects that nothing trusts. */
export const INJECTION_FUNCTIONS: TemplateFunctions = new Map([...LANGUAGE, ...ISTIO, ...SPRIG]);
