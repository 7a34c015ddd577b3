import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';

/** The object in another version of its kind. All versions have one shape (conversion: None), so only the name of the version changes. */
export function asVersion<T extends KubeObject>(object: T, resource: Pick<Resource, 'apiVersion'>): T {
  return object.apiVersion === resource.apiVersion ? object : { ...object, apiVersion: resource.apiVersion };
}
