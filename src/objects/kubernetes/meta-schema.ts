/** Schemas of the parts that many kinds share: metadata, selectors, conditions, references. */
import type { LabelSelector, ObjectMeta } from '../meta.ts';
import { anyObject, as, bool, int64, list, map, obj, req, str, strDefault, time, type Infer } from '../schema/dsl.ts';

/** ObjectMeta. @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ */
export const objectMeta = as<ObjectMeta>(
  obj({
    name: str(),
    generateName: str(),
    namespace: str(),
    selfLink: str(),
    uid: str(),
    resourceVersion: str(),
    generation: int64(),
    creationTimestamp: time(),
    deletionTimestamp: time(),
    deletionGracePeriodSeconds: int64(),
    labels: map(str(), { nullable: true }),
    annotations: map(str(), { nullable: true }),
    ownerReferences: list(
      obj({ apiVersion: req(str()), kind: req(str()), name: req(str()), uid: req(str()), controller: bool(), blockOwnerDeletion: bool() }, { 'x-kubernetes-map-type': 'atomic' }),
      { mapKeys: ['uid'] },
    ),
    finalizers: list(str(), { set: true, merge: true }),
    managedFields: list(
      obj({ manager: str(), operation: str(), apiVersion: str(), time: time(), fieldsType: str(), fieldsV1: anyObject(), subresource: str() }),
      { atomic: true },
    ),
  }),
);

/** LabelSelector. */
export const labelSelector = as<LabelSelector>(
  obj(
    {
      matchLabels: map(str()),
      matchExpressions: list(obj({ key: req(str()), operator: req(str()), values: list(str(), { atomic: true }) }), { atomic: true }),
    },
    { 'x-kubernetes-map-type': 'atomic' },
  ),
);

/** A status condition as most kinds have it. */
export const condition = obj({
  type: req(str()),
  status: req(str()),
  observedGeneration: int64(),
  lastTransitionTime: time(),
  lastUpdateTime: time(),
  lastProbeTime: time(),
  reason: str(),
  message: str(),
});
/** A status condition as most kinds have it. */
export type Condition = Infer<typeof condition>;

/** Conditions by type. */
export const conditions = list(condition, { mapKeys: ['type'] });

/** A reference to an object of the same namespace. */
export const localObjectReference = obj({ name: strDefault('') }, { 'x-kubernetes-map-type': 'atomic' });

/** A reference to any object. */
export const objectReference = obj(
  { apiVersion: str(), kind: str(), namespace: str(), name: str(), uid: str(), resourceVersion: str(), fieldPath: str() },
  { 'x-kubernetes-map-type': 'atomic' },
);
/** A reference to any object. */
export type ObjectReferenceFields = Infer<typeof objectReference>;
