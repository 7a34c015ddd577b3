/** What every controller is given: the API, one shared informer per kind, and when to stop. */
import type { KubeObject } from '../../objects/meta.ts';
import type { ResourceType } from '../../objects/kind.ts';
import type { KubeClient } from '../client/client.ts';
import type { Informer } from '../client/informer.ts';

export interface ControllerContext {
  readonly client: KubeClient;
  readonly signal: AbortSignal;
  /** The informer of a kind; the same one for every caller. */
  informer<T extends KubeObject>(type: ResourceType): Informer<T>;
}

/** Makes a context whose informers are created on first use. */
export function createControllerContext(client: KubeClient, signal: AbortSignal, create: <T extends KubeObject>(type: ResourceType) => Informer<T>): ControllerContext {
  const informers = new Map<string, Informer<KubeObject>>();
  return {
    client,
    signal,
    informer<T extends KubeObject>(type: ResourceType): Informer<T> {
      const key = `${type.group}/${type.plural}`;
      let informer = informers.get(key);
      if (!informer) {
        informer = create<T>(type) as unknown as Informer<KubeObject>;
        informers.set(key, informer);
      }
      return informer as unknown as Informer<T>;
    },
  };
}
