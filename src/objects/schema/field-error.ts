/** Field errors with the words of the Kubernetes API. @see https://pkg.go.dev/k8s.io/apimachinery/pkg/util/validation/field */

/** The `reason` of a StatusCause. */
export type FieldErrorReason = 'FieldValueRequired' | 'FieldValueInvalid' | 'FieldValueTypeInvalid' | 'FieldValueNotSupported' | 'FieldValueDuplicate' | 'FieldValueTooMany' | 'FieldValueTooLong' | 'FieldValueForbidden' | 'FieldValueNotFound';

/** One wrong field. */
export interface FieldError {
  /** `spec.http[0].timeout`; empty for the whole object. */
  readonly path: string;
  readonly reason: FieldErrorReason;
  /** `Invalid value: "x": must be …`. */
  readonly message: string;
}

/** `spec.hosts: Required value`. */
export function formatFieldError(error: FieldError): string {
  return `${error.path === '' ? '<nil>' : error.path}: ${error.message}`;
}

const detailed = (text: string, detail: string): string => (detail === '' ? text : `${text}: ${detail}`);

export function requiredField(path: string, detail = ''): FieldError {
  return { path, reason: 'FieldValueRequired', message: detailed('Required value', detail) };
}

export function invalidField(path: string, value: unknown, detail: string): FieldError {
  return { path, reason: 'FieldValueInvalid', message: detailed(`Invalid value: ${showValue(value)}`, detail) };
}

export function wrongType(path: string, value: unknown, detail: string): FieldError {
  return { path, reason: 'FieldValueTypeInvalid', message: detailed(`Invalid value: ${showValue(value)}`, detail) };
}

export function unsupportedField(path: string, value: unknown, supported: readonly unknown[]): FieldError {
  return { path, reason: 'FieldValueNotSupported', message: `Unsupported value: ${showValue(value)}: supported values: ${supported.map(showValue).join(', ')}` };
}

export function duplicateField(path: string, value: unknown): FieldError {
  return { path, reason: 'FieldValueDuplicate', message: `Duplicate value: ${showValue(value)}` };
}

export function tooMany(path: string, count: number, max: number): FieldError {
  return { path, reason: 'FieldValueTooMany', message: `Too many: ${count}: must have at most ${max} items` };
}

export function tooLong(path: string, maxBytes: number): FieldError {
  return { path, reason: 'FieldValueTooLong', message: `Too long: may not be more than ${maxBytes} bytes` };
}

export function forbiddenField(path: string, detail: string): FieldError {
  return { path, reason: 'FieldValueForbidden', message: detailed('Forbidden', detail) };
}

function showValue(value: unknown): string {
  // JSON.stringify has no text for undefined.
  return (JSON.stringify(value) as string | undefined) ?? 'null';
}
