/** LDS and RDS → listeners in force. */
import { createLogger } from '../../base/log.ts';
import { messageOf } from '../../base/errors.ts';
import { TYPE_URL, type EncodedResource, type ResourceUpdate } from '../../xds/ads.ts';
import { decodeResource } from '../../xds/codec.ts';
import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.ts';
import { compileRouteConfiguration } from '../route/compile.ts';
import type { RouteTable } from '../route/route-table.ts';
import type { ProxyStats } from '../stats.ts';
import { ChainMemory } from './chain-memory.ts';
import { filterConfigParser, type CompileContext } from './compile-context.ts';
import { compileListener } from './compile-listener.ts';
import { ResourceStore } from './resource-store.ts';
import type { ListenerRuntime } from './runtime.ts';

export interface ListenerManagerOptions extends Omit<CompileContext, 'routes' | 'needExtension'> {
  readonly stats: ProxyStats;
  /** How long a listener waits for its routes before it serves without. Default 15 s. */
  readonly warmingMs: number;
  /** The set of names RDS must be asked for changed. */
  readonly onRouteNames: (names: ReadonlySet<string>) => void;
  /** The set of names ECDS must be asked for changed. */
  readonly onExtensionNames: (names: ReadonlySet<string>) => void;
  /** Listeners in force changed. */
  readonly onChange: () => void;
}

interface Entry {
  readonly runtime: ListenerRuntime;
  readonly routeNames: ReadonlySet<string>;
  /** Extension configs it uses, and whether it cannot serve without. */
  readonly extensions: ReadonlyMap<string, boolean>;
  readonly memory: ChainMemory;
}

const log = createLogger('lds');

/** A route table as chains hold it: connections of a listener that is gone go on with the last table it had. */
interface TableCell {
  table: RouteTable | undefined;
}

export class ListenerManager {
  readonly listenerStore = new ResourceStore();
  readonly routeStore = new ResourceStore();
  private readonly active = new Map<string, Entry>();
  /** The newest version of a listener while it waits for routes; an older one may be active meanwhile. */
  private readonly warming = new Map<string, Entry>();
  private readonly tables = new Map<string, TableCell>();
  private readonly parseFilterConfig: (typeUrl: string, bytes: Uint8Array) => unknown;

  constructor(private readonly options: ListenerManagerOptions) {
    this.parseFilterConfig = filterConfigParser(options.filters);
  }

  /** Listeners in force by name. */
  snapshot(): ReadonlyMap<string, ListenerRuntime> {
    return new Map([...this.active].map(([name, { runtime }]) => [name, runtime]));
  }

  isWarming(name: string): boolean {
    return this.warming.has(name);
  }

  get warmingCount(): number {
    return this.warming.size;
  }

  get activeCount(): number {
    return this.active.size;
  }

  routeTable(name: string): RouteTable | undefined {
    return this.tables.get(name)?.table;
  }

  /** Takes what it can of an LDS update; the text names every listener that was refused. */
  updateListeners(update: ResourceUpdate, isStatic = false): string | undefined {
    const { clock, stats } = this.options;
    const problems: string[] = [];
    for (const resource of update.updated) {
      if (this.listenerStore.has(resource)) continue;
      try {
        this.apply(resource);
        this.listenerStore.accept(resource, clock.now(), isStatic);
        stats.managers['listener_manager.listener_create_success']!++;
      } catch (error) {
        problems.push(`${resource.name}: ${messageOf(error)}`);
        this.listenerStore.refuse(resource, messageOf(error), clock.now());
        stats.managers['listener_manager.listener_create_failure']!++;
      }
    }
    for (const name of update.removed) if (!this.listenerStore.active.get(name)?.isStatic) this.remove(name);
    this.options.onRouteNames(this.routeNames());
    this.options.onExtensionNames(this.extensionNames());
    this.options.onChange();
    if (problems.length === 0) return undefined;
    const text = `Error adding/updating listener(s) ${problems.join('\n')}`;
    log.warn(text);
    return text;
  }

  /** Takes route tables; one that is refused leaves its last good version in force. */
  updateRoutes(update: ResourceUpdate, isStatic = false): string | undefined {
    const problems: string[] = [];
    for (const resource of update.updated) {
      if (this.routeStore.has(resource)) continue;
      try {
        const message = decodeResource({ typeUrl: TYPE_URL.route, value: resource.value }) as RouteConfiguration;
        this.cell(resource.name).table = compileRouteConfiguration(message, { parseFilterConfig: this.parseFilterConfig });
        this.routeStore.accept(resource, this.options.clock.now(), isStatic);
      } catch (error) {
        problems.push(`route configuration ${resource.name}: ${messageOf(error)}`);
        this.routeStore.refuse(resource, messageOf(error), this.options.clock.now());
      }
    }
    // A table stays as long as a listener names it: RDS has no removals in Envoy.
    this.promoteReady();
    if (problems.length === 0) return undefined;
    for (const problem of problems) log.warn(problem);
    return problems.join('\n');
  }

  /** Takes filter configs; filters that run already have them with their next request. */
  updateExtensions(update: ResourceUpdate): string | undefined {
    const problem = this.options.extensions.update(update);
    this.promoteReady();
    return problem;
  }

  private apply(resource: EncodedResource): void {
    const routeNames = new Set<string>();
    const extensions = new Map<string, boolean>();
    const memory = new ChainMemory(this.active.get(resource.name)?.memory);
    const runtime = compileListener(decodeResource({ typeUrl: TYPE_URL.listener, value: resource.value }) as Listener, {
      ...this.options,
      memory,
      needExtension: (name, waits) => void extensions.set(name, waits || extensions.get(name) === true),
      routes: (name) => {
        routeNames.add(name);
        const cell = this.cell(name);
        return () => cell.table;
      },
    });
    memory.settle();
    this.options.stats.managers[this.active.has(runtime.name) ? 'listener_manager.listener_modified' : 'listener_manager.listener_added']!++;
    const entry = { runtime, routeNames, extensions, memory };
    this.warming.delete(runtime.name);
    if (this.hasAll(entry)) {
      this.active.set(runtime.name, entry);
      return;
    }
    this.warming.set(runtime.name, entry);
    this.options.clock.after(this.options.warmingMs, () => {
      if (this.warming.get(runtime.name) !== entry) return;
      log.warn('listener serves without all that it needs', { listener: runtime.name, routes: [...routeNames].filter((name) => !this.routeTable(name)), extensions: [...extensions.keys()].filter((name) => !this.options.extensions.get(name)) });
      this.promote(runtime.name, entry);
      this.options.onChange();
    });
  }

  private cell(name: string): TableCell {
    let cell = this.tables.get(name);
    if (!cell) this.tables.set(name, (cell = { table: undefined }));
    return cell;
  }

  private hasAll({ routeNames, extensions }: Entry): boolean {
    for (const name of routeNames) if (!this.routeTable(name)) return false;
    for (const [name, waits] of extensions) if (waits && !this.options.extensions.get(name)) return false;
    return true;
  }

  private promoteReady(): void {
    const ready = [...this.warming].filter(([, entry]) => this.hasAll(entry));
    for (const [name, entry] of ready) this.promote(name, entry);
    if (ready.length > 0) this.options.onChange();
  }

  private promote(name: string, entry: Entry): void {
    this.warming.delete(name);
    this.active.set(name, entry);
    this.dropUnusedTables();
  }

  private remove(name: string): void {
    this.listenerStore.remove(name);
    this.warming.delete(name);
    if (this.active.delete(name)) this.options.stats.managers['listener_manager.listener_removed']!++;
    this.dropUnusedTables();
  }

  private routeNames(): ReadonlySet<string> {
    return new Set([...this.active.values(), ...this.warming.values()].flatMap(({ routeNames }) => [...routeNames]));
  }

  private extensionNames(): ReadonlySet<string> {
    const names = new Set([...this.active.values(), ...this.warming.values()].flatMap(({ extensions }) => [...extensions.keys()]));
    this.options.extensions.keepOnly(names);
    return names;
  }

  private dropUnusedTables(): void {
    const used = this.routeNames();
    for (const name of this.tables.keys()) {
      if (used.has(name) || this.routeStore.active.get(name)?.isStatic) continue;
      this.tables.delete(name);
      this.routeStore.remove(name);
    }
  }
}
