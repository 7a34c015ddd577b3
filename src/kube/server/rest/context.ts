/** What every request handler works with. */
import type { KubeObject } from '../../../objects/meta.ts';
import type { Logger } from '../../../base/log.ts';
import type { Resource, ResourceTable } from '../api/resources.ts';
import type { Authorizer } from '../auth/rbac/authorizer.ts';
import type { UserInfo } from '../auth/user.ts';
import type { MutableObject } from '../json.ts';
import type { Store } from '../store/store.ts';

/** An object on its way into the store, free to change. */
export type Draft = MutableObject & { kind: string; apiVersion: string; metadata: MutableObject };

/** One write request. */
export interface WriteContext {
  readonly user: UserInfo;
  readonly fieldManager: string;
  readonly dryRun: boolean;
  readonly fieldValidation: 'Strict' | 'Warn' | 'Ignore';
  /** Texts for `Warning` headers, added to while the request is handled. */
  readonly warnings: string[];
  /** For webhooks: the options object of the request. */
  readonly options?: MutableObject;
}

/** What admission is asked about. */
export interface AdmissionAttributes {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly resource: Resource;
  readonly subresource: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly old: KubeObject | undefined;
  readonly context: WriteContext;
}

/** Calls the configured webhooks. */
export interface Webhooks {
  /** The object after all mutating webhooks; the same reference when none changed it. Throws ApiError when one refuses. */
  mutate(attributes: AdmissionAttributes, draft: Draft, reinvoke: (draft: Draft) => void | Promise<void>): Promise<Draft>;
  /** Asks mutating webhooks about a delete, which they can only refuse. Throws ApiError when one does. */
  mutateDelete(attributes: AdmissionAttributes): Promise<void>;
  /** Throws ApiError when a validating webhook refuses. `object` is undefined for a delete. */
  validate(attributes: AdmissionAttributes, object: MutableObject | undefined): Promise<void>;
}

/** Gives out cluster addresses and node ports. */
export interface ServiceAllocator {
  /** Fills in what the service does not have and reserves what it names. Throws ApiError 422 when taken or outside the range. */
  allocate(draft: Draft, old: KubeObject | undefined): void;
}

export interface Environment {
  readonly store: Store;
  readonly resources: ResourceTable;
  readonly webhooks: Webhooks;
  readonly services: ServiceAllocator;
  readonly authorizer: Authorizer;
  readonly log: Logger;
  readonly now: () => number;
}

/** RFC 3339 with seconds, as metadata carries it. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
