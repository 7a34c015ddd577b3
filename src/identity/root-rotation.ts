/**
 * The change of a self-signed root, in three steps so that nobody meets a certificate it cannot check: the next root is announced while the old one signs,
 * then it signs while the old one is still trusted, and the old one goes when nothing signed by it is left.
 */
import { CLOCK_SKEW_MS, createSelfSignedCa, type CaMaterial, type SelfSignedOptions } from './ca.ts';
import { parseCertificate } from './certificate.ts';
import { mergeBundles } from './trust-bundle.ts';

const HOUR_MS = 3_600_000;
/** An announced root reaches every pod by its ConfigMap, which a kubelet looks at about once a minute. */
const MAX_ANNOUNCE_MS = HOUR_MS;

/** A self-signed authority with what its change has come to. */
export interface SelfSignedState {
  /** Signs. Its roots start with its own certificate. */
  readonly material: CaMaterial;
  /** The root that is announced and does not sign yet. */
  readonly next?: { readonly certPem: string; readonly keyPem: string; readonly announcedAtMs: number };
  /** When the present root began to sign; undefined for one that never followed another. */
  readonly changedAtMs?: number;
}

export interface RotationPolicy {
  /** What new roots are like. */
  readonly root: Omit<SelfSignedOptions, 'nowMs'>;
  /** Part (0–1) of a root's lifetime that is left when its successor is announced. */
  readonly graceFraction: number;
  /** How long certificates of the old root may still be around after it stopped signing. */
  readonly retireAfterMs: number;
}

/** What a step did, for logs. */
export type RotationStep = 'announced' | 'changed' | 'retired';

/** Takes the step that is due now, if any. Call it from time to time; a long sleep is made up for by the next calls. */
export function advanceRotation(state: SelfSignedState, policy: RotationPolicy, nowMs: number): { readonly state: SelfSignedState; readonly step: RotationStep } | undefined {
  const { material, next } = state;
  if (next) return nowMs - next.announcedAtMs >= announceMs(material.caCertPem, policy) || isExpired(material.caCertPem, nowMs) ? { state: change(state, next, nowMs), step: 'changed' } : undefined;
  if (state.changedAtMs !== undefined) {
    const { changedAtMs: _done, ...rest } = state;
    if (nowMs - state.changedAtMs >= policy.retireAfterMs) return { state: { ...rest, material: { ...material, rootCertPem: material.caCertPem } }, step: 'retired' };
  }
  if (parseCertificate(material.caCertPem).notAfterMs - nowMs > graceMs(material.caCertPem, policy)) return undefined;
  const made = createSelfSignedCa({ ...policy.root, nowMs });
  const announced = { certPem: made.caCertPem, keyPem: made.caKeyPem, announcedAtMs: nowMs };
  return { state: { ...state, material: { ...material, rootCertPem: mergeBundles(material.rootCertPem, made.caCertPem) }, next: announced }, step: 'announced' };
}

function change(state: SelfSignedState, next: NonNullable<SelfSignedState['next']>, nowMs: number): SelfSignedState {
  // The root that signs stands first: metrics and people read the first one.
  const rootCertPem = mergeBundles(next.certPem, state.material.rootCertPem);
  return { material: { caCertPem: next.certPem, caKeyPem: next.keyPem, rootCertPem, certChainPem: '' }, changedAtMs: nowMs };
}

/** Time between announcement and change: an hour, less where the old root has not that much left. */
function announceMs(oldRootPem: string, policy: RotationPolicy): number {
  return Math.min(MAX_ANNOUNCE_MS, graceMs(oldRootPem, policy) / 4);
}

/** The part of a root's life in which it is replaced; its start is dated back, which is no part of its life. */
function graceMs(rootPem: string, policy: RotationPolicy): number {
  const { notBeforeMs, notAfterMs } = parseCertificate(rootPem);
  return Math.max(0, notAfterMs - notBeforeMs - CLOCK_SKEW_MS) * policy.graceFraction;
}

function isExpired(certificatePem: string, nowMs: number): boolean {
  return nowMs >= parseCertificate(certificatePem).notAfterMs;
}
