import { createHash } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { FilterChainSchema, type FilterChain } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import type { FilterChainRuntime } from './runtime.ts';

interface Remembered {
  readonly runtime: FilterChainRuntime;
  readonly routeNames: ReadonlySet<string>;
  /** Extension configs it uses, and whether it cannot serve without. */
  readonly extensions: ReadonlyMap<string, boolean>;
}

/** Hears what a chain needs from elsewhere. */
export interface Needs {
  readonly route: (name: string) => void;
  readonly extension: (name: string, waits: boolean) => void;
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

  /** `compile` runs unless the chain is known; `needs` hears every RDS and ECDS name the chain uses, in both cases. */
  reuse(chain: FilterChain, needs: Needs, compile: (note: Needs) => FilterChainRuntime): FilterChainRuntime {
    const key = createHash('sha1').update(toBinary(FilterChainSchema, chain)).digest('base64');
    let remembered = this.before?.chains.get(key);
    if (remembered === undefined) {
      const routeNames = new Set<string>();
      const extensions = new Map<string, boolean>();
      const runtime = compile({ route: (name) => void routeNames.add(name), extension: (name, waits) => void extensions.set(name, waits || extensions.get(name) === true) });
      remembered = { runtime, routeNames, extensions };
    }
    this.chains.set(key, remembered);
    for (const name of remembered.routeNames) needs.route(name);
    for (const [name, waits] of remembered.extensions) needs.extension(name, waits);
    return remembered.runtime;
  }
}
