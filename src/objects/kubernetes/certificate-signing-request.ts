import type { SpecObject } from '../meta.ts';
import { CERTIFICATE_SIGNING_REQUEST } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { bytes, int, list, map, obj, req, str, type Infer } from '../schema/dsl.ts';
import { conditions } from './meta-schema.ts';

const spec = obj({
  request: req(bytes()),
  signerName: req(str()),
  expirationSeconds: int(),
  usages: list(str(), { atomic: true }),
  username: str(),
  uid: str(),
  groups: list(str(), { atomic: true }),
  extra: map(list(str(), { atomic: true })),
});
const status = obj({ conditions, certificate: bytes() });

/** A wish for a certificate. @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/certificate-signing-request-v1/ */
export type CertificateSigningRequest = SpecObject<Infer<typeof spec>, Infer<typeof status>>;
export const CERTIFICATE_SIGNING_REQUEST_KIND = defineKind(CERTIFICATE_SIGNING_REQUEST, { shortNames: ['csr'], status: true, fields: { spec, status }, required: ['spec'] });
