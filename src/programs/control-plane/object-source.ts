/** Where the control plane's objects come from: an API server, or a folder of YAML. */
import type { KubeObject } from '../../objects/meta.ts';

/** Something about one object changed that the mesh may care about. */
export interface ObjectChange {
  readonly type: 'added' | 'updated' | 'deleted';
  readonly object: KubeObject;
}

export interface ObjectSource {
  /** Resolves when everything that exists has been read once. */
  readonly synced: Promise<void>;
  /** All objects known now. */
  objects(): Iterable<KubeObject>;
  /** EndpointSlices of one Kubernetes service. */
  slicesOf(namespace: string, service: string): readonly KubeObject[];
  /** Namespaces by name. */
  namespaces(): ReadonlyMap<string, KubeObject>;
  /** Text of the `mesh` key of the mesh ConfigMap; undefined when there is none. */
  meshConfigText(): string | undefined;
  /** Calls back on every change from now on; what is known already is not replayed. */
  onChange(listener: (change: ObjectChange) => void): void;
}
