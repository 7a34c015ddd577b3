import { describe, expect, it } from 'vitest';
import { CertificateAuthority, createSelfSignedCa } from './ca.ts';
import { splitCertificates } from './certificate.ts';
import { createKeyAndCsr } from './csr.ts';
import { advanceRotation, type RotationPolicy, type SelfSignedState } from './root-rotation.ts';
import { formatSpiffeId } from './spiffe.ts';
import { verifyChain } from './trust-bundle.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const startMs = Math.floor(Date.now() / 1000) * 1000;
const policy: RotationPolicy = { root: { organization: 'cluster.local', ttlMs: 100 * DAY }, graceFraction: 0.2, retireAfterMs: DAY };
const fresh = (): SelfSignedState => ({ material: createSelfSignedCa({ ...policy.root, nowMs: startMs }) });
const spiffeId = formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' });
const leafOf = (state: SelfSignedState, nowMs: number) => new CertificateAuthority(state.material, nowMs).signCsr(createKeyAndCsr({ uri: spiffeId }).csrPem, { spiffeId, nowMs });

describe('advanceRotation', () => {
  it('does nothing while the root is young', () => {
    expect(advanceRotation(fresh(), policy, startMs + 79 * DAY)).toBeUndefined();
  });

  it('announces, changes and retires, and at every step both sides of a change trust each other', () => {
    const old = fresh();
    const announcedMs = startMs + 80.1 * DAY;
    const announced = advanceRotation(old, policy, announcedMs)!;
    expect(announced.step).toBe('announced');
    expect(announced.state.material.caCertPem).toBe(old.material.caCertPem);
    expect(splitCertificates(announced.state.material.rootCertPem)).toEqual([old.material.caCertPem, announced.state.next!.certPem]);
    expect(advanceRotation(announced.state, policy, announcedMs + HOUR - 1000)).toBeUndefined();

    const changedMs = announcedMs + HOUR;
    const changed = advanceRotation(announced.state, policy, changedMs)!;
    expect(changed.step).toBe('changed');
    expect(splitCertificates(changed.state.material.rootCertPem)).toEqual([announced.state.next!.certPem, old.material.caCertPem]);
    const [newLeaf = ''] = leafOf(changed.state, changedMs);
    const [oldLeaf = ''] = leafOf(announced.state, changedMs);
    // A proxy that has only heard of the announcement, and one that has the change.
    for (const bundle of [announced.state.material.rootCertPem, changed.state.material.rootCertPem]) for (const leaf of [newLeaf, oldLeaf]) expect(verifyChain(leaf, [], bundle, changedMs)).toBe(true);
    expect(verifyChain(newLeaf, [], old.material.rootCertPem, changedMs)).toBe(false);

    expect(advanceRotation(changed.state, policy, changedMs + DAY - 1000)).toBeUndefined();
    const retired = advanceRotation(changed.state, policy, changedMs + DAY)!;
    expect(retired).toMatchObject({ step: 'retired', state: { material: { rootCertPem: announced.state.next!.certPem } } });
    expect(retired.state.changedAtMs).toBeUndefined();
    expect(verifyChain(oldLeaf, [], retired.state.material.rootCertPem, changedMs)).toBe(false);
    expect(advanceRotation(retired.state, policy, changedMs + 2 * DAY)).toBeUndefined();
  });

  it('shortens the announcement for short-lived roots, and skips it for an expired one', () => {
    const short: RotationPolicy = { ...policy, root: { organization: 'x', ttlMs: 100_000 } };
    const announced = advanceRotation({ material: createSelfSignedCa({ ...short.root, nowMs: startMs }) }, short, startMs + 90_000)!.state;
    expect(advanceRotation(announced, short, startMs + 94_000)?.step).toBeUndefined();
    expect(advanceRotation(announced, short, startMs + 95_000)?.step).toBe('changed');
    expect(advanceRotation({ material: createSelfSignedCa({ ...short.root, nowMs: startMs }) }, short, startMs + 79_000)).toBeUndefined();
    const late = advanceRotation(fresh(), policy, startMs + 200 * DAY)!;
    expect(late.step).toBe('announced');
    expect(advanceRotation(late.state, policy, startMs + 200 * DAY)?.step).toBe('changed');
  });

  it.each(['rsa-2048', 'ec-p384'] as const)('makes roots of the configured kind (%s)', (keyType) => {
    const { state } = advanceRotation(fresh(), { ...policy, root: { ...policy.root, keyType } }, startMs + 90 * DAY)!;
    const changed = advanceRotation(state, policy, startMs + 91 * DAY)!;
    expect(verifyChain(leafOf(changed.state, startMs + 91 * DAY)[0]!, [], state.next!.certPem, startMs + 91 * DAY)).toBe(true);
  });
});
