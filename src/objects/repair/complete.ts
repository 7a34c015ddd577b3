/** What a text left out on purpose: placeholders and cut examples. */
import type { KubeObject } from '../meta.ts';
import type { Schema } from '../schema/schema.ts';
import { isObject, own, setOwn } from '../schema/values.ts';

/** `${NAME}`, `{{ .Values.name }}`, `<name>`: to be replaced before use. */
const PLACEHOLDER = /\$\{([^}]*)\}|\{\{\s*([^}]*?)\s*\}\}|^<([^<>]+)>$/;

/**
 * The object with names instead of placeholders and, when its text was cut (`...`), with the fields it must have. Says what it put in: its author knows
 * better.
 */
export function complete(object: KubeObject, schema: Schema, abridged: boolean): { readonly object: KubeObject; readonly filled: readonly string[] } {
  const filled: string[] = [];
  const named = withoutNulls(fillPlaceholders(object, '', filled)) as KubeObject;
  if (!abridged) return { object: named, filled };
  const name = isObject(named.metadata) && typeof own(named.metadata as Readonly<Record<string, unknown>>, 'name') === 'string' ? named.metadata.name : 'example';
  const whole = fillRequired(named, schema, '', name, filled) as KubeObject;
  return { object: fillWorkload(whole, name, filled), filled };
}

/** Fields of which a schema only tells the type. */
const EXAMPLES: Readonly<Record<string, unknown>> = { sideEffects: 'None', admissionReviewVersions: ['v1'], clientConfig: { service: { name: 'example', namespace: 'default' } } };

function fillPlaceholders(value: unknown, path: string, filled: string[]): unknown {
  if (Array.isArray(value)) return value.map((item, index) => fillPlaceholders(item, `${path}[${index}]`, filled));
  if (isObject(value)) {
    const copy: Record<string, unknown> = {};
    for (const [name, member] of Object.entries(value)) setOwn(copy, name, fillPlaceholders(member, path === '' ? name : `${path}.${name}`, filled));
    return copy;
  }
  const match = typeof value === 'string' && !value.includes('\n') ? PLACEHOLDER.exec(value) : null;
  if (!match || typeof value !== 'string') return value;
  const words = (match[1] ?? match[2] ?? match[3] ?? '').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '');
  const instead = value.replace(PLACEHOLDER, match[0] === value && /address|host$/.test(path) ? `${words}.example.com` : words);
  filled.push(`${path}: "${value}" is a placeholder, here filled with "${instead}"`);
  return instead;
}

/** A key without a value says nothing, except for members of lists and where null has a meaning. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) if (member !== null || name === 'mtls') setOwn(copy, name, withoutNulls(member));
  return copy;
}

function fillRequired(value: unknown, schema: Schema | undefined, path: string, name: string, filled: string[]): unknown {
  if (Array.isArray(value)) return value.map((item, index) => fillRequired(item, schema?.items, `${path}[${index}]`, name, filled));
  if (!isObject(value) || !schema) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) setOwn(copy, key, fillRequired(member, own(schema.properties, key), path === '' ? key : `${path}.${key}`, name, filled));
  for (const key of (schema.required ?? []).filter((one) => !Object.hasOwn(copy, one))) {
    setOwn(copy, key, own(EXAMPLES, key) ?? (path.startsWith('webhooks') && key === 'name' ? `${name}.example.com` : exampleOf(own(schema.properties, key), name)));
    filled.push(`${path === '' ? key : `${path}.${key}`} was cut out of the text, and is guessed`);
  }
  return copy;
}

function exampleOf(schema: Schema | undefined, name: string): unknown {
  if (schema?.default !== undefined) return schema.default;
  if (schema?.enum) return schema.enum[0];
  switch (schema?.type) {
    case 'array': return [];
    case 'object': return fillRequired({}, schema, '', name, []);
    case 'integer': case 'number': return schema.minimum ?? 1;
    case 'boolean': return false;
    default: return name;
  }
}

/** A workload needs a selector of its pods' labels, and a container. */
function fillWorkload(object: KubeObject, name: string, filled: string[]): KubeObject {
  const spec = (object as { readonly spec?: unknown }).spec;
  if (!isObject(spec) || !isObject(spec['template'])) return object;
  const template = spec['template'];
  const metadata = isObject(template['metadata']) ? template['metadata'] : {};
  const podSpec = isObject(template['spec']) ? template['spec'] : {};
  const containers = Array.isArray(podSpec['containers']) && podSpec['containers'].length > 0 ? (podSpec['containers'] as unknown[]) : [{ name, image: name }];
  const selector = isObject(spec['selector']) && Object.keys(spec['selector']).length > 0 ? spec['selector'] : { matchLabels: metadata['labels'] };
  if (containers !== podSpec['containers']) filled.push('spec.template.spec.containers was cut out of the text, and is guessed');
  const whole = { ...object, spec: { ...spec, selector, template: { ...template, metadata, spec: { ...podSpec, containers } } } };
  return whole;
}
