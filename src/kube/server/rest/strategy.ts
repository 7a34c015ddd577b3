/** What a built-in kind does beyond its schema. */
import type { KubeObject } from '../../../objects/meta.ts';
import type { Cause } from '../status.ts';
import type { AdmissionAttributes, Draft, Environment } from './context.ts';
import type { NameRule } from './names.ts';

export interface Strategy {
  /** Default `subdomain`. */
  readonly names?: NameRule;
  /** Counts changes of the spec in `metadata.generation`. */
  readonly generation?: boolean;
  /** Fields that field selectors know besides metadata.name and metadata.namespace. */
  readonly fields?: Readonly<Record<string, (object: KubeObject) => string>>;
  /** Defaults that depend on other fields. */
  readonly defaults?: (draft: Draft) => void;
  /** Admission plugins of the server itself; run again after a webhook changed the object. */
  readonly admit?: (draft: Draft, attributes: AdmissionAttributes, env: Environment) => void | Promise<void>;
  /** Sets what only the server sets on a new object (its first status). */
  readonly prepareCreate?: (draft: Draft, env: Environment) => void;
  /** Takes over what an update may not change silently; runs on updates of the main resource. */
  readonly prepareUpdate?: (draft: Draft, old: KubeObject, env: Environment) => void;
  /** Whether the writer may write this, beyond being allowed to write at all. Throws ApiError 403. */
  readonly guard?: (draft: Draft, attributes: AdmissionAttributes, env: Environment) => void;
  readonly validate?: (draft: Draft, old: KubeObject | undefined) => Cause[];
  /** Seconds between the request to delete an object and its end; 0 deletes at once. `asked` is the request's gracePeriodSeconds. */
  readonly graceSeconds?: (object: KubeObject, asked: number | undefined) => number;
  /** Whether an object whose deletion was asked for may go as soon as its metadata.finalizers are empty. Default true. */
  readonly mayGo?: (object: KubeObject) => boolean;
  /** Changes an object when its deletion begins. */
  readonly prepareDelete?: (draft: Draft) => void;
}
