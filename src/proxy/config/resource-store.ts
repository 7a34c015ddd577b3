/** Raw resources as they came, for config dumps: last good version, last refused version. */
import type { EncodedResource } from '../../xds/ads.ts';

/** What is kept of one resource. */
export interface StoredResource {
  readonly resource: EncodedResource;
  readonly updatedMs: number;
  /** Static resources come from the bootstrap and have no version. */
  readonly isStatic: boolean;
}

/** The last refusal of a resource whose older version may still be in force. */
export interface RefusedResource {
  readonly resource: EncodedResource;
  readonly reason: string;
  readonly atMs: number;
}

/** Resources of one type by name, in order of arrival. */
export class ResourceStore {
  readonly active = new Map<string, StoredResource>();
  readonly refused = new Map<string, RefusedResource>();
  /** Of the newest accepted update. */
  version = '';

  accept(resource: EncodedResource, nowMs: number, isStatic = false): void {
    this.active.set(resource.name, { resource, updatedMs: nowMs, isStatic });
    this.refused.delete(resource.name);
    if (!isStatic) this.version = resource.version;
  }

  refuse(resource: EncodedResource, reason: string, nowMs: number): void {
    this.refused.set(resource.name, { resource, reason, atMs: nowMs });
  }

  remove(name: string): void {
    this.active.delete(name);
    this.refused.delete(name);
  }

  /** True when exactly these bytes are in force already. */
  has(resource: EncodedResource): boolean {
    const known = this.active.get(resource.name);
    return known !== undefined && !known.isStatic && known.resource.version === resource.version;
  }
}
