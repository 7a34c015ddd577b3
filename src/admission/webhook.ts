// The injection webhook: AdmissionReview in, AdmissionReview out. Sockets and TLS belong to the program.
import { messageOf } from '../base/errors.ts';
import { injectPod, type InjectionResult } from './inject/inject-pod.ts';
import type { InjectionContext, Json, JsonObject, Pod } from './inject/types.ts';

/** A review as the API server posts it; nothing in it is trusted to be there. @see https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ */
export interface AdmissionReview {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly request?: { readonly uid?: string; readonly namespace?: string; readonly object?: JsonObject | null };
  readonly response?: AdmissionResponse;
}

export interface AdmissionResponse {
  readonly uid: string;
  readonly allowed: boolean;
  /** Base64 of a JSON patch. */
  readonly patch?: string;
  readonly patchType?: 'JSONPatch';
  readonly status?: { readonly code?: number; readonly message: string };
  readonly warnings?: readonly string[];
}

/** What a caller counts: `sidecar_injection_{success,skip,failure}_total`. */
export type InjectionOutcome = 'success' | 'skip' | 'failure';

/** Answers one review. A pod that cannot be injected is refused: the API server then fails its creation instead of starting it outside the mesh. */
export function handleInject(review: AdmissionReview, context: InjectionContext): AdmissionReview & { readonly response: AdmissionResponse } {
  return reviewInjection(review, context).review;
}

/** As {@link handleInject}, with what happened: for logs and metrics. */
export function reviewInjection(review: AdmissionReview, context: InjectionContext): { readonly review: AdmissionReview & { readonly response: AdmissionResponse }; readonly outcome: InjectionOutcome; readonly message?: string } {
  const uid = review.request?.uid ?? '';
  const answer = (response: Omit<AdmissionResponse, 'uid'>): AdmissionReview & { response: AdmissionResponse } => ({ apiVersion: review.apiVersion ?? 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, ...response } });
  const object = review.request?.object;
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    const message = 'the request holds no object';
    return { review: answer({ allowed: false, status: { code: 400, message } }), outcome: 'failure', message };
  }
  const result = injectSafely(object as Pod, review.request?.namespace, context);
  if (result.kind === 'skipped') return { review: answer({ allowed: true }), outcome: 'skip', message: result.reason };
  if (result.kind === 'failed') return { review: answer({ allowed: false, status: { code: 400, message: result.message } }), outcome: 'failure', message: result.message };
  return { review: answer({ allowed: true, patchType: 'JSONPatch', patch: toBase64(JSON.stringify(result.patch as unknown as Json)) }), outcome: 'success' };
}

/** A pod of a shape no API server lets through is refused, whatever it breaks. */
function injectSafely(pod: Pod, namespace: string | undefined, context: InjectionContext): InjectionResult {
  try {
    return injectPod(pod, context, { namespace: pod.metadata?.namespace || namespace || 'default' });
  } catch (thrown) {
    return { kind: 'failed', message: `the pod cannot be read: ${messageOf(thrown)}` };
  }
}

/** Base64 of UTF-8 text, without node: or DOM types. */
function toBase64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
