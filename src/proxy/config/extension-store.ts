/** ECDS → configs of HTTP filters that listeners name. An update is obeyed by the next request; no connection notices. */
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { TYPE_URL, type ResourceUpdate } from '../../xds/ads.ts';
import { decodeResource } from '../../xds/codec.ts';
import type { TypedExtensionConfig } from '../../xds/gen/envoy/config/core/v3/extension_pb.ts';
import type { HttpFilterFactory } from '../filters/http-filter.ts';
import { ResourceStore } from './resource-store.ts';
import type { FilterConfig } from './runtime.ts';

const log = createLogger('ecds');

export class ExtensionStore {
  readonly store = new ResourceStore();
  /** Grows with every change: who remembers filters makes them anew. */
  version = 0;
  private readonly configs = new Map<string, FilterConfig>();
  private readonly types = new Map<string, ReadonlySet<string>>();

  constructor(private readonly filters: ReadonlyMap<string, HttpFilterFactory>, private readonly now: () => number) {}

  /** A listener asks for it; its config must be of one of these types. */
  expect(name: string, typeUrls: readonly string[]): void {
    this.types.set(name, new Set([...(this.types.get(name) ?? []), ...typeUrls]));
  }

  get(name: string): FilterConfig | undefined {
    return this.configs.get(name);
  }

  /** Throws a sentence when the config cannot be obeyed. */
  read(typeUrl: string, bytes: Uint8Array): FilterConfig {
    const factory = this.filters.get(typeUrl);
    if (!factory) throw new Error(`no filter is configured by ${typeUrl}`);
    return { typeUrl, config: factory.parse(typeUrl, bytes) };
  }

  /** Takes what it can; what is refused keeps its last good config. */
  update({ updated, removed }: ResourceUpdate): string | undefined {
    const problems: string[] = [];
    for (const resource of updated) {
      if (this.store.has(resource)) continue;
      try {
        const { typedConfig } = decodeResource({ typeUrl: TYPE_URL.extensionConfig, value: resource.value }) as TypedExtensionConfig;
        const allowed = this.types.get(resource.name);
        if (!typedConfig) throw new Error('it has no config');
        if (allowed !== undefined && !allowed.has(typedConfig.typeUrl)) throw new Error(`its type ${typedConfig.typeUrl} is none that its listeners allow: ${[...allowed].join(', ')}`);
        this.configs.set(resource.name, this.read(typedConfig.typeUrl, typedConfig.value));
        this.store.accept(resource, this.now(), false);
      } catch (error) {
        problems.push(`extension config ${resource.name}: ${messageOf(error)}`);
        this.store.refuse(resource, messageOf(error), this.now());
      }
    }
    for (const name of removed) {
      this.configs.delete(name);
      this.store.remove(name);
    }
    this.version++;
    for (const problem of problems) log.warn(problem);
    return problems.length === 0 ? undefined : problems.join('\n');
  }

  /** Names that no listener asks for any more are forgotten. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.types.keys()) if (!names.has(name)) this.types.delete(name);
    for (const name of this.configs.keys()) {
      if (names.has(name)) continue;
      this.configs.delete(name);
      this.store.remove(name);
    }
  }
}
