import type { HcmRuntime } from '../config/runtime.ts';
import { safeValue } from '../http/h1-headers.ts';
import type { HeaderMap } from '../http/message.ts';
import type { TlsFacts } from '../io/connection.ts';

const HEADER = 'x-forwarded-client-cert';

/** Sets, appends or removes x-forwarded-client-cert as the mode says. @see Envoy ConnectionManagerUtility::mutateXfccRequestHeader */
export function applyXfcc(headers: HeaderMap, mode: HcmRuntime['xfcc'], details: HcmRuntime['xfccDetails'], tls: TlsFacts | undefined): void {
  if (mode === 'ALWAYS_FORWARD_ONLY') return;
  const mutual = tls?.peer !== undefined;
  if (mode === 'SANITIZE' || !mutual) {
    headers.remove(HEADER);
    return;
  }
  if (mode === 'FORWARD_ONLY') return;
  const element = knownElement(tls, details);
  const before = mode === 'APPEND_FORWARD' && headers.has(HEADER) ? `${headers.getAll(HEADER).join(',')},` : '';
  headers.put(HEADER, before + element);
}

/** Elements by connection: all its requests get the same. */
const elements = new WeakMap<TlsFacts, { readonly details: HcmRuntime['xfccDetails']; readonly text: string }>();

function knownElement(tls: TlsFacts, details: HcmRuntime['xfccDetails']): string {
  const known = elements.get(tls);
  if (known?.details === details) return known.text;
  const text = safeValue(elementOf(tls, details));
  elements.set(tls, { details, text });
  return text;
}

function elementOf(tls: TlsFacts, details: HcmRuntime['xfccDetails']): string {
  const peer = tls.peer!;
  const parts: string[] = [];
  if (tls.localUriSan !== '') parts.push(`By=${tls.localUriSan}`);
  parts.push(`Hash=${peer.sha256}`);
  if (details.cert) parts.push(`Cert="${encodeURIComponent(peer.pem())}"`);
  if (details.subject) parts.push(`Subject="${peer.subject.replaceAll('"', '\\"')}"`);
  // A certificate without URI SAN still shows the key, so that readers see that it was asked for.
  if (details.uri) parts.push(...(peer.uriSans.length === 0 ? ['URI='] : peer.uriSans.map((uri) => `URI=${uri}`)));
  if (details.dns) parts.push(...peer.dnsSans.map((dns) => `DNS=${dns}`));
  return parts.join(';');
}
