/** What a client accepts. */
import { ApiError } from '../../client/client.ts';
import type { IncludeObject } from '../table/table.ts';

/** The shape of an answer. */
export interface Shape {
  readonly as: 'object' | 'table' | 'metadata';
  readonly include: IncludeObject;
}

interface Accepted {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Splits an Accept or Content-Type header. */
export function parseMediaTypes(header: string): Accepted[] {
  return header.split(',').map((part) => {
    const [type = '', ...parameters] = part.split(';').map((one) => one.trim());
    return { type: type.toLowerCase(), parameters: new Map(parameters.map((one) => one.split('=') as [string, string?]).map(([key, value]) => [key, value ?? ''])) };
  });
}

/** The first shape of an Accept header that is served. @throws ApiError 406 when none is */
export function shapeOf(accept: string | undefined, includeObject: string | null): Shape {
  const include = includeObject === 'None' || includeObject === 'Object' ? includeObject : 'Metadata';
  for (const { type, parameters } of parseMediaTypes(accept || '*/*')) {
    if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue;
    const as = parameters.get('as');
    if (as === undefined) return { as: 'object', include };
    if (parameters.get('v') !== 'v1' || parameters.get('g') !== 'meta.k8s.io') continue;
    if (as === 'Table') return { as: 'table', include };
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { as: 'metadata', include };
  }
  throw new ApiError(406, 'NotAcceptable', 'only the following media types are accepted: application/json');
}
