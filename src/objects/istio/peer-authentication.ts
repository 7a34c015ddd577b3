import type { SpecObject } from '../meta.ts';
import { PEER_AUTHENTICATION } from '../resource-types.ts';
import { AGE } from '../schema/define-kind.ts';
import { map, obj, oneOf, type Infer } from '../schema/dsl.ts';
import { workloadSelector, type IstioStatus } from './common.ts';
import { defineIstioKind, SECURITY_VERSIONS } from './define-istio-kind.ts';

/** UNSET inherits from the parent scope. */
const mutualTls = obj({ mode: oneOf('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT') });
export type MutualTLS = Infer<typeof mutualTls>;

const spec = obj({
  selector: workloadSelector,
  mtls: mutualTls,
  /** By workload port; only with a selector. */
  portLevelMtls: map(mutualTls, { minProperties: 1 }),
});
/** @see https://istio.io/latest/docs/reference/config/security/peer_authentication/ */
export type PeerAuthenticationSpec = Infer<typeof spec>;
export type PeerAuthentication = SpecObject<PeerAuthenticationSpec, IstioStatus>;

export const PEER_AUTHENTICATION_KIND = defineIstioKind(PEER_AUTHENTICATION, {
  ...SECURITY_VERSIONS,
  shortNames: ['pa'],
  spec,
  columns: [{ name: 'Mode', type: 'string', jsonPath: '.spec.mtls.mode', description: 'Defines the mTLS mode used for peer authentication.' }, AGE],
});
