import type { KubeObject } from '../../objects/meta.ts';

export type InformerEvent<T> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'updated'; readonly object: T; readonly old: T }
  | { readonly type: 'deleted'; readonly object: T };

/** A local, always current copy of one kind. List, then watch, with back-off, relist on 410, and no silent stop. */
export interface Informer<T extends KubeObject> {
  /** Resolves when the first list has been delivered. */
  readonly synced: Promise<void>;
  /** Current objects by `namespace/name`. */
  items(): ReadonlyMap<string, T>;
  /** Events of objects already known are replayed as `added` to a new listener. */
  onEvent(listener: (event: InformerEvent<T>) => void): () => void;
}
