import type { KubeObject } from '../meta.ts';
import { EVENT } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { int, obj, str, time, type Infer } from '../schema/dsl.ts';
import { objectReference, type ObjectReferenceFields } from './meta-schema.ts';

const source = obj({ component: str(), host: str() });
const series = obj({ count: int(), lastObservedTime: time() });

/** Something that happened to an object. @see https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ */
export interface Event extends KubeObject {
  readonly involvedObject: ObjectReferenceFields;
  readonly reason?: string;
  readonly message?: string;
  readonly source?: Infer<typeof source>;
  readonly firstTimestamp?: string | null;
  readonly lastTimestamp?: string | null;
  readonly count?: number;
  /** `Normal` or `Warning`. */
  readonly type?: string;
  readonly eventTime?: string | null;
  readonly series?: Infer<typeof series>;
  readonly action?: string;
  readonly related?: ObjectReferenceFields;
  readonly reportingComponent?: string;
  readonly reportingInstance?: string;
}

export const EVENT_KIND = defineKind(EVENT, {
  shortNames: ['ev'],
  fields: {
    involvedObject: objectReference,
    reason: str(),
    message: str(),
    source,
    firstTimestamp: time(),
    lastTimestamp: time(),
    count: int(),
    type: str(),
    eventTime: time(),
    series,
    action: str(),
    related: objectReference,
    reportingComponent: str(),
    reportingInstance: str(),
  },
  required: ['involvedObject'],
});
