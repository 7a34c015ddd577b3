/** The trust domain, straight from the mesh config: needed before the first snapshot. */
import { parse } from 'yaml';
import { DEFAULT_TRUST_DOMAIN } from '../../identity/spiffe.ts';

let seen: string | undefined;
let trustDomain = DEFAULT_TRUST_DOMAIN;

/** `trustDomain` of a mesh config text; `cluster.local` when it names none or cannot be read. */
export function meshTrustDomain(text: string | undefined): string {
  if (text === seen) return trustDomain;
  seen = text;
  try {
    const value = (text === undefined ? undefined : (parse(text) as { readonly trustDomain?: unknown } | null))?.trustDomain;
    trustDomain = typeof value === 'string' && value !== '' ? value : DEFAULT_TRUST_DOMAIN;
  } catch {
    trustDomain = DEFAULT_TRUST_DOMAIN;
  }
  return trustDomain;
}
