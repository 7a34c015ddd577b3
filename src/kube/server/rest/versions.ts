import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { internal } from '../status.ts';

/** What conversion needs to know of a resource. */
type Versioned = Pick<Resource, 'apiVersion' | 'converter'>;

/** Stored objects never change, so each is converted once a version. */
const converted = new WeakMap<KubeObject, Map<string, KubeObject>>();

/**
 * The object in another version of its kind. Where all versions have one shape only the name of the version changes; where they have not, the object
 * must have been through {@link prepareVersions}.
 */
export function asVersion<T extends KubeObject>(object: T, resource: Versioned): T {
  if (object.apiVersion === resource.apiVersion) return object;
  if (!resource.converter) return { ...object, apiVersion: resource.apiVersion };
  const found = converted.get(object)?.get(resource.apiVersion);
  if (!found) throw internal(`${object.kind} "${object.metadata.name}" was not converted to ${resource.apiVersion}`);
  return found as T;
}

/** Whether {@link asVersion} has to wait for {@link prepareVersions}. */
export function needsConversion(object: KubeObject, resource: Versioned): boolean {
  return resource.converter !== undefined && object.apiVersion !== resource.apiVersion && !converted.get(object)?.has(resource.apiVersion);
}

/** Converts what is not yet in the resource's version, all with one call. @throws ApiError when the converter fails */
export async function prepareVersions(objects: readonly KubeObject[], resource: Versioned): Promise<void> {
  const missing = objects.filter((object) => needsConversion(object, resource));
  if (!resource.converter || missing.length === 0) return;
  const results = await resource.converter(missing, resource.apiVersion);
  missing.forEach((object, index) => {
    const versions = converted.get(object) ?? new Map<string, KubeObject>();
    converted.set(object, versions.set(resource.apiVersion, results[index]!));
  });
}

/** A draft in the version objects are stored with. */
export const toStorage = (draft: KubeObject, resource: Resource): Promise<KubeObject> => inVersion(draft, { apiVersion: resource.storageApiVersion, ...(resource.converter ? { converter: resource.converter } : {}) });

/** A draft in another version. Drafts change, so nothing of it is kept. */
export async function inVersion(draft: KubeObject, resource: Versioned): Promise<KubeObject> {
  if (!resource.converter || draft.apiVersion === resource.apiVersion) return { ...draft, apiVersion: resource.apiVersion };
  return (await resource.converter([draft], resource.apiVersion))[0]!;
}
