import type { KubeObject } from '../../objects/meta.ts';
import type { ResourceType } from '../../objects/kind.ts';

export interface ListOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListResult<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: T;
}

export interface WriteOptions {
  readonly fieldManager?: string;
  readonly subresource?: 'status' | 'scale' | 'finalize' | 'approval';
  readonly dryRun?: boolean;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** A refusal of the API server, with the Status object it sent. @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ */
export class ApiError extends Error {
  override name = 'ApiError';
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
    readonly details?: unknown,
  ) {
    super(message);
  }
}

/**
 * The Kubernetes API as the mesh needs it. Two implementations: over HTTPS against any API server, and in-process against the embedded one (same
 * admission, validation and storage path, no socket). Every method rejects with {@link ApiError} for what the server refuses.
 */
export interface KubeClient {
  /** Undefined when the object does not exist. */
  get<T extends KubeObject>(type: ResourceType, name: string, namespace?: string): Promise<T | undefined>;
  list<T extends KubeObject>(type: ResourceType, options?: ListOptions): Promise<ListResult<T>>;
  /** Yields changes after `resourceVersion` until `signal` aborts; throws ApiError 410 when the version is too old. */
  watch<T extends KubeObject>(type: ResourceType, options: ListOptions & { readonly resourceVersion: string; readonly signal: AbortSignal }): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(type: ResourceType, object: T, options?: WriteOptions): Promise<T>;
  /** Replaces; with a resourceVersion in the object it fails with 409 when the stored one differs. */
  update<T extends KubeObject>(type: ResourceType, object: T, options?: WriteOptions): Promise<T>;
  /** JSON merge patch (RFC 7386). */
  mergePatch<T extends KubeObject>(type: ResourceType, name: string, namespace: string | undefined, patch: unknown, options?: WriteOptions): Promise<T>;
  /** Server-side apply; `force` is always set. */
  apply<T extends KubeObject>(type: ResourceType, object: T, options: WriteOptions & { readonly fieldManager: string }): Promise<T>;
  /** Resolves also when the object is already gone. */
  delete(type: ResourceType, name: string, namespace?: string, options?: DeleteOptions): Promise<void>;
  /** POST to a subresource that is not an object's own shape (`serviceaccounts/token`, `tokenreviews`). */
  post<T>(path: string, body: unknown): Promise<T>;
}
