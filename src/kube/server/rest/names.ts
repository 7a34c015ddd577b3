/** Names, labels and annotations, checked with the API server's texts. @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
import { isObject, own } from '../json.ts';
import { invalidValue, required, type Cause } from '../status.ts';

export type NameRule = 'subdomain' | 'label' | 'label1035' | 'segment';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const RULES: Readonly<Record<Exclude<NameRule, 'segment'>, { readonly pattern: RegExp; readonly max: number; readonly text: string }>> = {
  subdomain: {
    pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    max: 253,
    text: `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${LABEL}(\\.${LABEL})*')`,
  },
  label: {
    pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    max: 63,
    text: `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${LABEL}')`,
  },
  label1035: {
    pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/,
    max: 63,
    text: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
  },
};
const QUALIFIED = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const QUALIFIED_TEXT = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_TEXT = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/** Of all annotations of one object, keys and values. */
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

/** What is wrong with a name under a rule; empty when nothing is. */
export function checkName(name: string, rule: NameRule, field = 'metadata.name'): Cause[] {
  if (rule === 'segment') {
    if (name === '.' || name === '..') return [invalidValue(field, name, `may not be '${name}'`)];
    return name.includes('/') || name.includes('%') ? [invalidValue(field, name, `may not contain '${name.includes('/') ? '/' : '%'}'`)] : [];
  }
  const { pattern, max, text } = RULES[rule];
  const causes: Cause[] = [];
  if (name.length > max) causes.push(invalidValue(field, name, `must be no more than ${max} characters`));
  if (!pattern.test(name)) causes.push(invalidValue(field, name, text));
  return causes;
}

/** Checks label keys and values below `field`. */
export function checkLabels(labels: unknown, field: string): Cause[] {
  if (!isObject(labels)) return [];
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(labels)) {
    causes.push(...checkQualifiedName(key, field));
    if (typeof value !== 'string') continue;
    if (value.length > 63) causes.push(invalidValue(field, value, 'must be no more than 63 characters'));
    if (value !== '' && !QUALIFIED.test(value)) causes.push(invalidValue(field, value, LABEL_VALUE_TEXT));
  }
  return causes;
}

function checkQualifiedName(key: string, field: string): Cause[] {
  const slash = key.indexOf('/');
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const name = slash < 0 ? key : key.slice(slash + 1);
  const causes: Cause[] = [];
  if (prefix !== undefined && (prefix === '' || !RULES.subdomain.pattern.test(prefix.toLowerCase()) || prefix.length > 253)) {
    causes.push(invalidValue(field, key, prefix === '' ? 'prefix part must be non-empty' : `prefix part ${RULES.subdomain.text}`));
  }
  if (name === '') causes.push(invalidValue(field, key, 'name part must be non-empty'));
  else if (name.length > 63) causes.push(invalidValue(field, key, 'name part must be no more than 63 characters'));
  if (name !== '' && !QUALIFIED.test(name)) causes.push(invalidValue(field, key, QUALIFIED_TEXT));
  return causes;
}

/** Checks everything in metadata that a user can get wrong. */
export function checkMetadata(metadata: Record<string, unknown>, rule: NameRule): Cause[] {
  const name = own(metadata, 'name');
  const causes = typeof name === 'string' && name !== '' ? checkName(name, rule) : [required('metadata.name', 'name or generateName is required')];
  causes.push(...checkLabels(own(metadata, 'labels'), 'metadata.labels'));
  const annotations = own(metadata, 'annotations');
  if (isObject(annotations)) {
    let bytes = 0;
    for (const [key, value] of Object.entries(annotations)) {
      causes.push(...checkQualifiedName(key.toLowerCase(), 'metadata.annotations'));
      bytes += Buffer.byteLength(key) + (typeof value === 'string' ? Buffer.byteLength(value) : 0);
    }
    if (bytes > MAX_ANNOTATIONS_BYTES) causes.push({ reason: 'FieldValueTooLong', message: `Too long: may not be more than ${MAX_ANNOTATIONS_BYTES} bytes`, field: 'metadata.annotations' });
  }
  const finalizers = own(metadata, 'finalizers');
  if (Array.isArray(finalizers)) for (const finalizer of finalizers) if (typeof finalizer === 'string') causes.push(...checkQualifiedName(finalizer, 'metadata.finalizers'));
  return causes;
}

const SUFFIX = 'bcdfghjklmnpqrstvwxz2456789';

/** `generateName` with five random characters, cut to 63. */
export function generatedName(base: string): string {
  return base.slice(0, 58) + randomSuffix();
}

/** Five characters that make no words. */
export function randomSuffix(): string {
  return Array.from({ length: 5 }, () => SUFFIX[Math.floor(Math.random() * SUFFIX.length)]).join('');
}
