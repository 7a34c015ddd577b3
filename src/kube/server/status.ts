/** Refusals in Kubernetes' words: every one is an {@link ApiError} whose Status object kubectl knows how to print. */
import { ApiError } from '../client/client.ts';
import { isObject } from './json.ts';

/** One field that is wrong; `reason` is a `CauseType` of the API. */
export interface Cause {
  readonly reason: 'FieldValueRequired' | 'FieldValueInvalid' | 'FieldValueNotSupported' | 'FieldValueDuplicate' | 'FieldValueForbidden' | 'FieldValueNotFound' | 'FieldManagerConflict' | 'FieldValueTooLong' | 'FieldValueTypeInvalid' | 'FieldValueTooMany';
  readonly message: string;
  readonly field: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Cause[];
  readonly retryAfterSeconds?: number;
}

/** A group and a plural, which is how refusals name what they are about. */
export interface GroupResource {
  readonly group: string;
  readonly plural: string;
}

/** `deployments.apps`, or `pods` for the core group. */
export function qualified(resource: GroupResource): string {
  return resource.group ? `${resource.plural}.${resource.group}` : resource.plural;
}

function detailsOf(resource: GroupResource, name: string, more: StatusDetails = {}): StatusDetails {
  return { ...(name ? { name } : {}), ...(resource.group ? { group: resource.group } : {}), kind: resource.plural, ...more };
}

export function notFound(resource: GroupResource, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualified(resource)} "${name}" not found`, detailsOf(resource, name));
}

/** What an unknown path answers. */
export function pathNotFound(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function alreadyExists(resource: GroupResource, name: string): ApiError {
  return new ApiError(409, 'AlreadyExists', `${qualified(resource)} "${name}" already exists`, detailsOf(resource, name));
}

export function conflict(resource: GroupResource, name: string, why: string, causes?: readonly Cause[]): ApiError {
  return new ApiError(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`, detailsOf(resource, name, causes ? { causes } : {}));
}

/** The conflict of a write whose resourceVersion is not the stored one any more. */
export function modified(resource: GroupResource, name: string): ApiError {
  return conflict(resource, name, 'the object has been modified; please apply your changes to the latest version and try again');
}

/** An object that breaks rules; `kind` and `group` are of the object (`Deployment`, `apps`). */
export function invalid(kind: { readonly group: string; readonly kind: string }, name: string, causes: readonly Cause[]): ApiError {
  const texts = [...new Set(causes.map((cause) => `${cause.field}: ${cause.message}`))];
  const what = kind.group ? `${kind.kind}.${kind.group}` : kind.kind;
  const text = texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`;
  return new ApiError(422, 'Invalid', `${what} "${name}" is invalid: ${text}`, { ...(name ? { name } : {}), ...(kind.group ? { group: kind.group } : {}), kind: kind.kind, causes });
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function forbidden(resource: GroupResource, name: string, why: string, causes?: readonly Cause[]): ApiError {
  return new ApiError(403, 'Forbidden', `${qualified(resource)} ${name ? `"${name}" ` : ''}is forbidden: ${why}`, detailsOf(resource, name, causes ? { causes } : {}));
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized');
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
}

export function unsupportedMediaType(message: string): ApiError {
  return new ApiError(415, 'UnsupportedMediaType', message);
}

export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

/** A page that can only go on with what is there now: `token` does that. */
export class ExpiredPage extends ApiError {
  constructor(readonly token: string) {
    super(410, 'Expired', 'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.');
  }
}

/** A version that was never given out: of another server, or of this one before its data were lost. */
export function versionTooLarge(asked: number, current: number): ApiError {
  return new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${asked}, current: ${current}`, { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }], retryAfterSeconds: 1 });
}

export function tooLarge(): ApiError {
  return new ApiError(413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728', {});
}

export function internal(message: string): ApiError {
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
}

/** The Status object of a refusal, as it is sent. */
export function statusOf(error: ApiError): Record<string, unknown> {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: error instanceof ExpiredPage ? { continue: error.token } : {},
    status: 'Failure',
    message: error.message,
    reason: error.reason,
    ...(isObject(error.details) ? { details: error.details } : {}),
    code: error.code,
  };
}

/** A map of texts, as Go prints one. */
export class GoMap {
  constructor(readonly entries: Readonly<Record<string, string>>) {}

  toString(): string {
    return `map[string]string{${Object.keys(this.entries).sort().map((key) => `${JSON.stringify(key)}:${JSON.stringify(this.entries[key])}`).join(', ')}}`;
  }
}

const quote = (value: unknown): string => value instanceof GoMap ? value.toString() : (typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' ? JSON.stringify(value) : String(value));

export const required = (field: string, detail = ''): Cause => ({ reason: 'FieldValueRequired', message: `Required value${detail && `: ${detail}`}`, field });
export const invalidValue = (field: string, value: unknown, detail: string): Cause => ({ reason: 'FieldValueInvalid', message: `Invalid value: ${quote(value)}: ${detail}`, field });
export const notSupported = (field: string, value: unknown, supported: readonly string[]): Cause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${quote(value)}: supported values: ${[...supported].sort().map((one) => JSON.stringify(one)).join(', ')}`,
  field,
});
export const forbiddenField = (field: string, detail: string): Cause => ({ reason: 'FieldValueForbidden', message: `Forbidden: ${detail}`, field });
export const duplicate = (field: string, value: unknown): Cause => ({ reason: 'FieldValueDuplicate', message: `Duplicate value: ${quote(value)}`, field });
