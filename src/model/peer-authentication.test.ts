import { describe, expect, it } from 'vitest';
import { effectiveMtls, type MtlsMode, type PeerAuthentication } from './peer-authentication.ts';

const policy = (namespace: string, mode: MtlsMode | undefined, selector?: Record<string, string>, ports: readonly (readonly [number, MtlsMode | undefined])[] = []): PeerAuthentication => ({
  kind: 'peer-authentication', name: 'p', namespace, selector, mode, portLevel: new Map(ports), createdMs: 0, origin: '', digest: `${namespace}-${mode}`,
});
const app = { app: 'x' };
const effective = (...policies: PeerAuthentication[]) => effectiveMtls(policies, 'root', 'ns', app);

describe('effective mTLS', () => {
  it.each([
    ['nothing', [], 'PERMISSIVE'],
    ['mesh', [policy('root', 'STRICT')], 'STRICT'],
    ['namespace over mesh', [policy('root', 'STRICT'), policy('ns', 'DISABLE')], 'DISABLE'],
    ['workload over namespace', [policy('ns', 'DISABLE'), policy('ns', 'STRICT', app)], 'STRICT'],
    ['UNSET inherits', [policy('root', 'STRICT'), policy('ns', undefined), policy('ns', undefined, app)], 'STRICT'],
    ['another workload', [policy('ns', 'STRICT', { app: 'y' })], 'PERMISSIVE'],
    ['a selector in the root namespace does not count', [policy('root', 'STRICT', app)], 'PERMISSIVE'],
    ['the oldest wins', [policy('ns', 'STRICT'), policy('ns', 'DISABLE')], 'STRICT'],
    ['another namespace', [policy('other', 'STRICT')], 'PERMISSIVE'],
  ] as const)('%s', (_, policies, mode) => expect(effective(...policies).mode).toBe(mode));
  it('has modes for ports; UNSET there means the workload’s', () => {
    const { ports } = effective(policy('ns', 'STRICT', app, [[80, 'DISABLE'], [81, undefined]]));
    expect([...ports]).toEqual([[80, 'DISABLE'], [81, 'STRICT']]);
  });
});
