import { randomUUID } from 'node:crypto';
import { messageOf } from '../../../base/errors.ts';
import type { KubeObject } from '../../../objects/meta.ts';
import { ApiError } from '../../client/client.ts';
import type { ResourceTable } from '../api/resources.ts';
import { storageKey, storagePrefix } from '../api/storage-key.ts';
import { equal, isObject, listAt, numberAt, own, textAt } from '../json.ts';
import { jsonPatch } from '../patch/json-patch.ts';
import type { AdmissionAttributes, Draft, Webhooks } from '../rest/context.ts';
import { badRequest, forbidden, internal } from '../status.ts';
import type { Store } from '../store/store.ts';
import { conditionsHold } from '../cel/match-conditions.ts';
import { callWebhook, type Dial } from './webhook-call.ts';
import { matchedResource, reviewOf, selectorsMatch, type Matched } from './webhook-match.ts';
import { inVersion } from '../rest/versions.ts';

const GROUP = 'admissionregistration.k8s.io';

/** Calls the webhooks of the stored configurations, in the order of their names. `dial` defaults to the service's cluster address. */
export function createWebhooks(store: Store, resources: ResourceTable, dial: Dial = dialClusterAddress(store)): Webhooks {
  return {
    async mutate(attributes, draft, reinvoke) {
      let current = draft;
      const call = async (webhook: unknown): Promise<boolean> => {
        const matched = await matchOf(store, resources, webhook, attributes, current);
        if (!matched) return false;
        const patch = textAt(await ask(webhook, attributes, matched, dial), 'patch');
        if (patch === '') return true;
        const changed = applyPatch(webhook, matched.object as Draft, patch) as KubeObject;
        if (equal(changed, matched.object)) return true;
        current = (await inVersion({ ...changed, apiVersion: matched.resource.apiVersion }, attributes.resource)) as unknown as Draft;
        await reinvoke(current);
        return true;
      };
      // What each one that wants to be asked again has last seen.
      const seen = new Map<unknown, Draft>();
      for (const webhook of configured(store, 'mutatingwebhookconfigurations', attributes)) {
        if ((await call(webhook)) && textAt(webhook, 'reinvocationPolicy') === 'IfNeeded') seen.set(webhook, current);
      }
      // Once only: two that always change what the other one did would never end.
      for (const [webhook, last] of seen) if (last !== current) await call(webhook);
      return current;
    },
    async mutateDelete(attributes) {
      for (const webhook of configured(store, 'mutatingwebhookconfigurations', attributes)) {
        const matched = await matchOf(store, resources, webhook, attributes, undefined);
        if (matched) await ask(webhook, attributes, matched, dial);
      }
    },
    async validate(attributes, object) {
      const webhooks = configured(store, 'validatingwebhookconfigurations', attributes);
      await Promise.all(webhooks.map(async (webhook) => {
        const matched = await matchOf(store, resources, webhook, attributes, object);
        if (matched) await ask(webhook, attributes, matched, dial);
      }));
    },
  };
}

function configured(store: Store, plural: string, { resource }: AdmissionAttributes): unknown[] {
  // A broken configuration must stay removable.
  if (resource.group === GROUP) return [];
  return store.list(storagePrefix({ group: GROUP, plural })).flatMap((entry) => listAt(entry.object, 'webhooks'));
}

async function matchOf(store: Store, resources: ResourceTable, webhook: unknown, attributes: AdmissionAttributes, object: unknown): Promise<Matched | undefined> {
  const resource = matchedResource(webhook, attributes, resources);
  if (!resource) return undefined;
  const { namespace } = attributes;
  const labels = namespace === undefined ? undefined : store.get(storageKey({ group: '', plural: 'namespaces' }, namespace))?.object.metadata.labels;
  if (!selectorsMatch(webhook, attributes, object, labels)) return undefined;
  const shown = (one: unknown): Promise<KubeObject | null> => (one === undefined ? Promise.resolve(null) : inVersion(one as KubeObject, resource));
  const matched: Matched = { resource, object: await shown(object), old: await shown(attributes.old) };
  return conditionsAllow(webhook, attributes, matched) ? matched : undefined;
}

/** Whether the match conditions want the webhook called; one that cannot be evaluated is a failure of the webhook. */
function conditionsAllow(webhook: unknown, attributes: AdmissionAttributes, matched: Matched): boolean {
  if (listAt(webhook, 'matchConditions').length === 0) return true;
  const held = conditionsHold(webhook, reviewOf('', attributes, matched)['request'] as Readonly<Record<string, unknown>>);
  if (typeof held === 'boolean') return held;
  if (textAt(webhook, 'failurePolicy') === 'Ignore') return false;
  throw forbidden(attributes.resource, attributes.name, `failed calling webhook "${textAt(webhook, 'name')}": ${held}`);
}

/** The response of a webhook that allowed the request; undefined when it failed and failures are ignored. */
async function ask(webhook: unknown, attributes: AdmissionAttributes, matched: Matched, dial: Dial): Promise<unknown> {
  const name = textAt(webhook, 'name');
  const effects = textAt(webhook, 'sideEffects');
  if (attributes.context.dryRun && effects !== 'None' && effects !== 'NoneOnDryRun') throw badRequest(`admission webhook "${name}" does not support dry run`);
  const uid = randomUUID();
  let response: unknown;
  try {
    const answer = await callWebhook(own(webhook, 'clientConfig'), reviewOf(uid, attributes, matched), numberAt(webhook, 'timeoutSeconds') ?? 10, dial);
    response = own(answer, 'response');
    if (!isObject(response) || response['uid'] !== uid) throw new Error(`received invalid webhook response: expected response.uid="${uid}", got "${textAt(response, 'uid')}"`);
  } catch (thrown) {
    const text = `failed calling webhook "${name}": ${messageOf(thrown)}`;
    if (textAt(webhook, 'failurePolicy') === 'Ignore') return undefined;
    throw internal(text);
  }
  for (const warning of listAt(response, 'warnings')) if (typeof warning === 'string') attributes.context.warnings.push(warning);
  if (own(response, 'allowed') !== true) throw denied(name, own(response, 'status'));
  return response;
}

function denied(name: string, status: unknown): ApiError {
  const by = `admission webhook "${name}" denied the request`;
  const message = textAt(status, 'message');
  const reason = textAt(status, 'reason');
  const code = numberAt(status, 'code') ?? 0;
  const text = message ? `${by}: ${message}` : reason ? `${by}: ${reason}` : `${by} without explanation`;
  return new ApiError(code >= 400 && code < 600 ? code : 400, reason, text, own(status, 'details'));
}

function applyPatch(webhook: unknown, object: Draft, patch: string): unknown {
  try {
    return jsonPatch(object, JSON.parse(Buffer.from(patch, 'base64').toString('utf8')));
  } catch (thrown) {
    throw internal(`failed calling webhook "${textAt(webhook, 'name')}": the patch does not apply: ${messageOf(thrown)}`);
  }
}

/** Finds the cluster address of a service. */
export function dialClusterAddress(store: Store): Dial {
  return async ({ namespace, name, port }) => {
    const service: KubeObject | undefined = store.get(storageKey({ group: '', plural: 'services' }, name, namespace))?.object;
    if (!service) throw new Error(`service "${name}" not found`);
    if (!listAt(service, 'spec', 'ports').some((one) => own(one, 'port') === port)) throw new Error(`no service port ${port} found for service "${name}"`);
    return { host: textAt(service, 'spec', 'clusterIP'), port };
  };
}
