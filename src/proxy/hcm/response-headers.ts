import type { HcmRuntime } from '../config/runtime.ts';
import type { ResponseHead } from '../http/message.ts';

let dateText = '';
let dateSecond = 0;

/** The Date header, made once per second. */
function httpDate(): string {
  const now = Date.now();
  const second = Math.floor(now / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(now).toUTCString();
  }
  return dateText;
}

/** Header rules on the way out, for upstream and local replies alike. @see Envoy ConnectionManagerUtility::mutateResponseHeaders */
export function finishResponseHeaders(head: ResponseHead, hcm: HcmRuntime, requestId: string | undefined): void {
  const { headers } = head;
  if (hcm.serverHeaderTransformation === 'OVERWRITE' || (hcm.serverHeaderTransformation === 'APPEND_IF_ABSENT' && !headers.has('server'))) {
    if (headers.get('server') !== hcm.serverName) headers.put('server', hcm.serverName);
  }
  if (!headers.has('date')) headers.put('date', httpDate());
  // The caller's proxy reads it from us; a workload's caller has no use for it.
  if (hcm.direction === 'outbound') headers.remove('x-envoy-decorator-operation');
  if (hcm.alwaysSetRequestIdInResponse && requestId !== undefined) headers.set('x-request-id', requestId);
}
