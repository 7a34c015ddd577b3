/** Signs approved CertificateSigningRequests of the built-in signers, and removes old ones. */
import type { CertificateSigningRequest } from '../../objects/kubernetes/certificate-signing-request.ts';
import { CERTIFICATE_SIGNING_REQUEST } from '../../objects/resource-types.ts';
import { signApproved, type ClusterSigners } from './certificate-signers.ts';
import type { ControllerContext } from './context.ts';
import { createWorkQueue } from './work-queue.ts';

const HOUR_MS = 3_600_000;
/** As kube-controller-manager's cleaner: what was decided stays an hour, what was not a day. */
const DECIDED_MS = HOUR_MS;
const PENDING_MS = 24 * HOUR_MS;

/** Runs until the context's signal aborts. */
export function startCertificateSigning(context: ControllerContext, signers: ClusterSigners): void {
  const { client } = context;
  const requests = context.informer<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUEST);
  const queue = createWorkQueue('certificatesigning', reconcile, context.signal);
  requests.onEvent((event) => {
    if (event.type !== 'deleted') queue.add(event.object.metadata.name);
  });

  async function reconcile(name: string): Promise<void> {
    const request = requests.items().get(name);
    if (!request) return;
    const leftMs = leftOf(request, Date.now());
    if (leftMs <= 0) return client.delete(CERTIFICATE_SIGNING_REQUEST, name);
    queue.addAfter(name, Math.min(leftMs, HOUR_MS));
    const types = conditionTypes(request);
    if (!types.includes('Approved') || types.includes('Denied') || types.includes('Failed') || (request.status?.certificate ?? '') !== '') return;
    const signature = signApproved(request, signers, Date.now());
    if (!signature) return;
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const failed = 'refusal' in signature ? [{ type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message: signature.refusal, lastUpdateTime: now, lastTransitionTime: now }] : [];
    const status = { ...request.status, conditions: [...(request.status?.conditions ?? []), ...failed], ...('refusal' in signature ? {} : { certificate: Buffer.from(signature.certificatePem).toString('base64') }) };
    await client.update<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUEST, { ...request, status }, { subresource: 'status' });
  }
}

function conditionTypes(request: CertificateSigningRequest): string[] {
  return (request.status?.conditions ?? []).map(({ type }) => type);
}

/** Milliseconds until the request is removed. */
function leftOf(request: CertificateSigningRequest, nowMs: number): number {
  const conditions = request.status?.conditions ?? [];
  const decided = conditions.length > 0 && (conditionTypes(request).some((type) => type === 'Denied' || type === 'Failed') || (request.status?.certificate ?? '') !== '');
  const sinceMs = Date.parse((decided ? conditions.at(-1)?.lastUpdateTime : undefined) ?? request.metadata.creationTimestamp ?? '');
  return Number.isNaN(sinceMs) ? PENDING_MS : sinceMs + (decided ? DECIDED_MS : PENDING_MS) - nowMs;
}
