/** CertificateSigningRequests: who asked is written down, who may approve and sign is asked, and what was decided stays. */
import { parseCsr } from '../../../../identity/csr.ts';
import { at, equal, isObject, listAt, numberAt, own, textAt } from '../../json.ts';
import { forbidden, invalid, invalidValue, notSupported, required, type Cause } from '../../status.ts';
import { timestamp, type AdmissionAttributes, type Draft, type Environment } from '../context.ts';
import type { Strategy } from '../strategy.ts';

/** @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/certificate-signing-request-v1/ */
const USAGES = [
  'signing', 'digital signature', 'content commitment', 'key encipherment', 'key agreement', 'data encipherment', 'cert sign', 'crl sign', 'encipher only', 'decipher only', 'any', 'server auth',
  'client auth', 'code signing', 'email protection', 's/mime', 'ipsec end system', 'ipsec tunnel', 'ipsec user', 'timestamping', 'ocsp signing', 'microsoft sgc', 'netscape sgc',
];
const SIGNER_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+\/[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MIN_SECONDS = 600;
/** Decided by approvers; the signer has no say in them. */
const DECISIONS = ['Approved', 'Denied'];

/** The request of a CSR object as PEM text. */
export function requestPem(object: unknown): string {
  return Buffer.from(textAt(object, 'spec', 'request'), 'base64').toString('utf8');
}

export const SIGNING_REQUEST_STRATEGY: Strategy = {
  admit(draft, { context: { user } }) {
    const spec = draft['spec'];
    if (!isObject(spec)) return;
    spec['username'] = user.username;
    spec['groups'] = user.groups;
    if (user.uid === undefined) delete spec['uid'];
    else spec['uid'] = user.uid;
    if (user.extra === undefined) delete spec['extra'];
    else spec['extra'] = user.extra;
  },
  prepareUpdate(draft, old) {
    draft['spec'] = own(old, 'spec');
  },
  guard,
  validate: (draft, old) => (old ? [] : checkSpec(draft)),
};

function checkSpec(draft: Draft): Cause[] {
  const causes: Cause[] = [];
  const signerName = textAt(draft, 'spec', 'signerName');
  if (signerName === 'kubernetes.io/legacy-unknown') causes.push(invalidValue('spec.signerName', signerName, 'the legacy signerName is not allowed via this API version'));
  else if (signerName !== '' && !SIGNER_NAME.test(signerName)) causes.push(invalidValue('spec.signerName', signerName, "must be a fully qualified domain and path of the form 'example.com/signer-name'"));
  const usages = listAt(draft, 'spec', 'usages');
  if (usages.length === 0) causes.push(required('spec.usages'));
  usages.forEach((usage, index) => {
    if (!USAGES.includes(String(usage))) causes.push(notSupported(`spec.usages[${index}]`, String(usage), USAGES));
  });
  const seconds = numberAt(draft, 'spec', 'expirationSeconds');
  if (seconds !== undefined && seconds < MIN_SECONDS) causes.push(invalidValue('spec.expirationSeconds', seconds, 'may not specify a duration less than 600 seconds (10 minutes)'));
  try {
    parseCsr(requestPem(draft));
  } catch (error) {
    causes.push(invalidValue('spec.request', textAt(draft, 'spec', 'request'), (error as Error).message));
  }
  return causes;
}

function checkStatus(draft: Draft): Cause[] {
  const causes: Cause[] = [];
  const conditions = listAt(draft, 'status', 'conditions');
  const types = conditions.map((condition) => textAt(condition, 'type'));
  if (DECISIONS.every((type) => types.includes(type))) causes.push(invalidValue('status.conditions', 'Denied', 'Approved and Denied conditions are mutually exclusive'));
  conditions.forEach((condition, index) => {
    const [type, status] = [textAt(condition, 'type'), textAt(condition, 'status')];
    if ([...DECISIONS, 'Failed'].includes(type) && status !== 'True') causes.push(notSupported(`status.conditions[${index}].status`, status, ['True']));
  });
  const certificate = Buffer.from(textAt(draft, 'status', 'certificate'), 'base64').toString('utf8');
  if (certificate !== '' && !/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.test(certificate)) causes.push(invalidValue('status.certificate', '<certificate data>', 'must contain at least one CERTIFICATE PEM block'));
  return causes;
}

function guard(draft: Draft, attributes: AdmissionAttributes, env: Environment): void {
  const { operation, subresource, resource, name, old } = attributes;
  if (operation === 'CREATE') return refuseAdministrators(draft, attributes);
  const broken = checkStatus(draft);
  if (broken.length > 0) throw invalid(resource, name, broken);
  if (subresource === 'approval') {
    if (!mayUse(attributes, env, 'approve', draft)) throw forbidden(resource, name, `user not permitted to approve requests with signerName ${JSON.stringify(textAt(draft, 'spec', 'signerName'))}`);
    stampDecisions(draft, timestamp(env.now()));
  }
  if (subresource !== 'status' || equal(at(draft, 'status'), at(old, 'status'))) return;
  if (!mayUse(attributes, env, 'sign', draft)) throw forbidden(resource, name, `user not permitted to sign requests with signerName ${JSON.stringify(textAt(draft, 'spec', 'signerName'))}`);
  const decided = (object: unknown): unknown[] => listAt(object, 'status', 'conditions').filter((condition) => DECISIONS.includes(textAt(condition, 'type')));
  const causes: Cause[] = [];
  if (!equal(decided(draft).map((one) => textAt(one, 'type')), decided(old).map((one) => textAt(one, 'type')))) causes.push(invalidValue('status.conditions', 'Approved', 'Approved and Denied conditions are changed at /approval only'));
  const before = textAt(old, 'status', 'certificate');
  if (before !== '' && before !== textAt(draft, 'status', 'certificate')) causes.push(invalidValue('status.certificate', '<certificate data>', 'updates may not set a different certificate once it was issued'));
  if (causes.length > 0) throw invalid(resource, name, causes);
}

/** Nobody becomes an administrator by a certificate. @see https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#certificatesubjectrestriction */
function refuseAdministrators(draft: Draft, { resource, name }: AdmissionAttributes): void {
  if (textAt(draft, 'spec', 'signerName') !== 'kubernetes.io/kube-apiserver-client') return;
  if (parseCsr(requestPem(draft)).organizations.includes('system:masters')) throw forbidden(resource, name, 'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed');
}

/** Whether the writer may approve or sign for this signer, or for all of its domain. */
function mayUse({ context }: AdmissionAttributes, { authorizer }: Environment, verb: 'approve' | 'sign', draft: Draft): boolean {
  const signerName = textAt(draft, 'spec', 'signerName');
  const names = [signerName, `${signerName.split('/')[0]}/*`];
  return names.some((name) => authorizer.resource(context.user, { verb, group: 'certificates.k8s.io', resource: 'signers', subresource: '', name, namespace: undefined }).allowed);
}

function stampDecisions(draft: Draft, now: string): void {
  for (const condition of listAt(draft, 'status', 'conditions')) {
    if (!isObject(condition)) continue;
    condition['lastUpdateTime'] ??= now;
    condition['lastTransitionTime'] ??= now;
  }
}
