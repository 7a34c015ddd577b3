import { clone, equal, isObject, setOwn } from '../json.ts';
import { ApiError } from '../../client/client.ts';
import { badRequest } from '../status.ts';

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

/** More operations than this are refused, as the API server does. */
const MAX_OPERATIONS = 10_000;

/**
 * Applies a JSON patch (RFC 6902) to a copy.
 * @throws ApiError 400 when it is no patch, 422 when it does not fit the document
 */
export function jsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  if (patch.length > MAX_OPERATIONS) throw new ApiError(413, 'RequestEntityTooLarge', `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`);
  let result = clone(document);
  for (const operation of patch as readonly Operation[]) {
    if (!isObject(operation) || typeof operation.op !== 'string' || typeof operation.path !== 'string') throw badRequest('invalid JSON patch: every operation needs "op" and "path"');
    result = applyOperation(result, operation);
  }
  return result;
}

function applyOperation(document: unknown, operation: Operation): unknown {
  const path = parsePointer(operation.path);
  switch (operation.op) {
    case 'add': return add(document, path, clone(operation.value), operation.path);
    case 'remove': return remove(document, path, operation.path);
    case 'replace': {
      if (path.length === 0) return clone(operation.value);
      read(document, path, operation);
      return add(remove(document, path, operation.path), path, clone(operation.value), operation.path);
    }
    case 'move': {
      const from = parsePointer(operation.from ?? '');
      const value = read(document, from, operation);
      return add(remove(document, from, operation.from ?? ''), path, value, operation.path);
    }
    case 'copy': return add(document, path, clone(read(document, parsePointer(operation.from ?? ''), operation)), operation.path);
    case 'test':
      if (!equal(read(document, path, operation, true) ?? null, operation.value ?? null)) throw unprocessable(`testing value ${operation.path} failed: test failed`);
      return document;
    default: throw unprocessable(`Unexpected kind: ${operation.op}`);
  }
}

function unprocessable(message: string): ApiError {
  return new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${message}`);
}

function parsePointer(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw unprocessable(`invalid path "${pointer}": it must start with "/"`);
  return pointer.slice(1).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function indexIn(list: readonly unknown[], step: string, limit: number): number | undefined {
  if (!/^(0|[1-9]\d*)$/.test(step)) return undefined;
  const index = Number(step);
  return index <= limit ? index : undefined;
}

function read(document: unknown, path: readonly string[], operation: Operation, optional = false): unknown {
  let current = document;
  for (const step of path) {
    const index = Array.isArray(current) ? indexIn(current, step, current.length - 1) : undefined;
    if (index !== undefined) current = (current as unknown[])[index];
    else if (isObject(current) && Object.hasOwn(current, step)) current = current[step];
    else if (optional) return undefined;
    else throw unprocessable(`${operation.op} operation does not apply: doc is missing path: "${operation.path}": missing value`);
  }
  return current;
}

function parentOf(document: unknown, path: readonly string[], pointer: string): Record<string, unknown> | unknown[] {
  const parent = read(document, path.slice(0, -1), { op: 'add', path: pointer });
  if (!Array.isArray(parent) && !isObject(parent)) throw unprocessable(`add operation does not apply: doc is missing path: "${pointer}": missing value`);
  return parent;
}

function add(document: unknown, path: readonly string[], value: unknown, pointer: string): unknown {
  if (path.length === 0) return value;
  const parent = parentOf(document, path, pointer);
  const step = path[path.length - 1]!;
  if (!Array.isArray(parent)) setOwn(parent, step, value);
  else {
    const index = step === '-' ? parent.length : indexIn(parent, step, parent.length);
    if (index === undefined) throw unprocessable(`add operation does not apply: doc is missing path: "${pointer}": invalid index`);
    parent.splice(index, 0, value);
  }
  return document;
}

function remove(document: unknown, path: readonly string[], pointer: string): unknown {
  if (path.length === 0) return null;
  const parent = parentOf(document, path, pointer);
  const step = path[path.length - 1]!;
  const index = Array.isArray(parent) ? indexIn(parent, step, parent.length - 1) : undefined;
  if (Array.isArray(parent) && index !== undefined) parent.splice(index, 1);
  else if (isObject(parent) && Object.hasOwn(parent, step)) delete parent[step];
  else throw unprocessable(`remove operation does not apply: doc is missing path: "${pointer}": missing value`);
  return document;
}
