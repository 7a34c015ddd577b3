/** Conversion webhooks of CustomResourceDefinitions. @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion */
import { randomUUID } from 'node:crypto';
import { messageOf } from '../../../base/errors.ts';
import type { KubeObject } from '../../../objects/meta.ts';
import { clone, isObject, listAt, own, textAt } from '../json.ts';
import type { Converter } from '../api/resources.ts';
import { internal } from '../status.ts';
import { callWebhook, type Dial } from './webhook-call.ts';

const TIMEOUT_SECONDS = 30;

/** A converter that asks a webhook. `webhook` is `spec.conversion.webhook` of a definition, `kind` the kind of its objects. */
export function webhookConverter(webhook: unknown, kind: string, dial: Dial): Converter {
  return async (objects, apiVersion) => {
    const uid = randomUUID();
    const review = { kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1', request: { uid, desiredAPIVersion: apiVersion, objects } };
    const what = `conversion webhook for ${objects[0]?.apiVersion}, Kind=${kind}`;
    let response: unknown;
    try {
      response = own(await callWebhook(own(webhook, 'clientConfig'), review, TIMEOUT_SECONDS, dial), 'response');
    } catch (thrown) {
      throw internal(`${what} failed: ${messageOf(thrown).replace(/^failed to call webhook: /, '')}`);
    }
    const fail = (why: string) => internal(`${what} ${why}`);
    if (textAt(response, 'uid') !== uid) throw fail(`returned an invalid response: expected response.uid="${uid}", got "${textAt(response, 'uid')}"`);
    if (textAt(response, 'result', 'status') !== 'Success') throw fail(`failed: ${textAt(response, 'result', 'message') || 'no message was given'}`);
    const results = listAt(response, 'convertedObjects');
    if (results.length !== objects.length) throw fail(`returned ${results.length} objects, expected ${objects.length}`);
    return results.map((result, index) => {
      const original = objects[index]!;
      const wrong = differenceOf(result, original, apiVersion);
      if (wrong !== undefined) throw fail(`returned an invalid converted object at index ${index}: ${wrong}`);
      return withMetadata(result as Record<string, unknown>, original);
    });
  };
}

function differenceOf(result: unknown, original: KubeObject, apiVersion: string): string | undefined {
  if (!isObject(result)) return 'not an object';
  if (textAt(result, 'apiVersion') !== apiVersion) return `invalid apiVersion, expected ${apiVersion}, got ${textAt(result, 'apiVersion')}`;
  if (textAt(result, 'kind') !== original.kind) return `invalid kind, expected ${original.kind}, got ${textAt(result, 'kind')}`;
  if (!isObject(own(result, 'metadata'))) return 'metadata is missing';
  for (const field of ['name', 'namespace', 'uid'] as const) if (textAt(result, 'metadata', field) !== (original.metadata[field] ?? '')) return `metadata.${field} must not change`;
  return undefined;
}

/** Of the metadata a webhook may change labels and annotations only. */
function withMetadata(result: Record<string, unknown>, original: KubeObject): KubeObject {
  const metadata: Record<string, unknown> = { ...original.metadata };
  for (const field of ['labels', 'annotations']) {
    const value = own(own(result, 'metadata'), field);
    if (isObject(value) && Object.keys(value).length > 0) metadata[field] = value;
    else delete metadata[field];
  }
  return clone({ ...result, metadata }) as unknown as KubeObject;
}
