/** The table of everything that is served: built-in kinds and those of CustomResourceDefinitions. */
import type { KindInfo, PrinterColumn } from '../../../objects/kind.ts';
import { apiVersionOf } from '../../../objects/kind.ts';
import type { KubeObject } from '../../../objects/meta.ts';
import type { Schema } from '../../../objects/schema/schema.ts';

/** Turns objects of a kind whose versions have different shapes into one version, in their order. Throws ApiError when it cannot. */
export type Converter = (objects: readonly KubeObject[], apiVersion: string) => Promise<readonly KubeObject[]>;

/** One kind in one served version. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  /** `apps/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Of the whole object. */
  readonly schema: Schema;
  readonly columns: readonly PrinterColumn[];
  readonly status: boolean;
  readonly scale?: KindInfo['scale'];
  /** Defined by a CustomResourceDefinition: merge patches instead of strategic ones. */
  readonly custom: boolean;
  /** The apiVersion objects are stored with. */
  readonly storageApiVersion: string;
  /** Present when the versions of the kind have different shapes. */
  readonly converter?: Converter;
  /** Paths (`.spec.color`) that field selectors know, of custom kinds. */
  readonly selectableFields?: readonly string[];
  readonly deprecationWarning?: string;
}

/** The resources of a built-in kind, one per version. */
export function resourcesOf(info: KindInfo): Resource[] {
  return info.versions.map((version) => ({
    group: info.group,
    version,
    apiVersion: apiVersionOf({ group: info.group, version }),
    kind: info.kind,
    listKind: info.listKind,
    plural: info.plural,
    singular: info.singular,
    shortNames: info.shortNames,
    categories: info.categories,
    namespaced: info.namespaced,
    schema: info.schema,
    columns: info.columns,
    status: info.status,
    ...(info.scale ? { scale: info.scale } : {}),
    custom: info.custom,
    storageApiVersion: apiVersionOf({ group: info.group, version: info.storageVersion }),
    ...(info.deprecated?.[version] === undefined ? {} : { deprecationWarning: info.deprecated[version] }),
  }));
}

const keyOf = (group: string, version: string, name: string): string => `${group}/${version}/${name}`;

/** Looks resources up by path and by kind. Kinds of definitions come and go while the server runs. */
export class ResourceTable {
  private readonly byPath = new Map<string, Resource>();
  private readonly custom = new Map<string, readonly Resource[]>();
  private listeners = new Set<() => void>();
  /** Grows with every change: what caches of discovery and OpenAPI are keyed with. */
  generation = 1;

  /** `converters` by `group/plural`. */
  constructor(builtIn: readonly KindInfo[], converters: Readonly<Record<string, Converter>> = {}) {
    for (const info of builtIn) {
      const name = `${info.group}/${info.plural}`;
      const converter = Object.hasOwn(converters, name) ? { converter: converters[name]! } : {};
      for (const resource of resourcesOf(info)) this.byPath.set(keyOf(resource.group, resource.version, resource.plural), { ...resource, ...converter });
    }
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.byPath.get(keyOf(group, version, plural));
  }

  /** Any served version of a kind. */
  findKind(group: string, kind: string): Resource | undefined {
    for (const resource of this.byPath.values()) if (resource.group === group && resource.kind === kind) return resource;
    return undefined;
  }

  all(): Resource[] {
    return [...this.byPath.values()];
  }

  /** Replaces what a definition serves; an empty list takes it away. */
  define(definition: string, defined: readonly Resource[]): void {
    for (const old of this.custom.get(definition) ?? []) this.byPath.delete(keyOf(old.group, old.version, old.plural));
    // A definition never takes the place of a built-in kind.
    const resources = defined.filter((resource) => !this.byPath.has(keyOf(resource.group, resource.version, resource.plural)));
    if (resources.length > 0) this.custom.set(definition, resources);
    else this.custom.delete(definition);
    for (const resource of resources) this.byPath.set(keyOf(resource.group, resource.version, resource.plural), resource);
    this.generation++;
    for (const listener of this.listeners) listener();
  }

  /** Calls back after every change. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
}
