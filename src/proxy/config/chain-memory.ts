import { createHash } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { FilterChainSchema, type FilterChain } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import type { FilterChainRuntime } from './runtime.ts';

interface Remembered {
  readonly runtime: FilterChainRuntime;
  readonly routeNames: ReadonlySet<string>;
}

/**
 * The compiled chains of one listener version. A chain whose bytes did not change keeps its compiled object over an update of its listener, so that its
 * connections are not drained.
 * @see Envoy filter-chain-only update (listener_manager_impl.cc)
 */
export class ChainMemory {
  private readonly chains = new Map<string, Remembered>();

  constructor(private before: ChainMemory | undefined) {}

  /** The listener is compiled: what its former version knew is let go. */
  settle(): void {
    this.before = undefined;
  }

  /** `compile` runs unless the chain is known; `subscribe` hears every RDS name the chain uses, in both cases. */
  reuse(chain: FilterChain, subscribe: (name: string) => void, compile: (noteRoute: (name: string) => void) => FilterChainRuntime): FilterChainRuntime {
    const key = createHash('sha1').update(toBinary(FilterChainSchema, chain)).digest('base64');
    let remembered = this.before?.chains.get(key);
    if (remembered === undefined) {
      const routeNames = new Set<string>();
      remembered = { runtime: compile((name) => void routeNames.add(name)), routeNames };
    }
    this.chains.set(key, remembered);
    for (const name of remembered.routeNames) subscribe(name);
    return remembered.runtime;
  }
}
