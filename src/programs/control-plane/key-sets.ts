/** Key sets of token issuers: fetched, refreshed, and kept when an issuer cannot be reached. */
import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { Backoff } from '../../base/backoff.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { hasKeys } from '../../resolve/key-set.ts';
import type { FetchedKeySet, WantedKeySet } from '../../resolve/request-authentication.ts';

const log = createLogger('jwks');

/** Istio's `PILOT_JWT_PUB_KEY_REFRESH_INTERVAL`. */
const REFRESH_MS = 20 * 60_000;
const RETRY = { baseMs: 2000, maxMs: 60_000 };
const MAX_BYTES = 1024 * 1024;
const MAX_REDIRECTS = 3;

/** Fetches a document. Rejects with a sentence. */
export type FetchText = (uri: string, timeoutMs: number) => Promise<string>;

export interface KeySetOptions {
  readonly clock: Clock;
  /** Keys changed, or what is known of them did. */
  readonly onChange: () => void;
  readonly onFetch?: (success: boolean) => void;
  readonly fetchText?: FetchText;
}

interface Entry {
  readonly wanted: WantedKeySet;
  readonly backoff: Backoff;
  state: FetchedKeySet | undefined;
  timer: Timer | undefined;
}

/**
 * The key sets the mesh's policies ask for. A fetch that fails, and an answer without usable keys, leave the last good set in use and say that it is
 * stale; it is tried again with growing pauses. Only http and https are spoken, answers are bounded in size and time, and nothing of them is shown to
 * anybody but the proxies that check tokens with them.
 */
export class KeySets {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly options: KeySetOptions) {}

  /** What is known now, by {@link WantedKeySet.key}. */
  get current(): ReadonlyMap<string, FetchedKeySet> {
    return new Map([...this.entries].flatMap(([key, { state }]) => (state ? [[key, state] as const] : [])));
  }

  /** Starts to fetch what is new and forgets what nobody wants any more. */
  want(wanted: readonly WantedKeySet[]): void {
    const keys = new Set(wanted.map(({ key }) => key));
    for (const [key, { timer }] of this.entries)
      if (!keys.has(key)) {
        timer?.cancel();
        this.entries.delete(key);
      }
    for (const request of wanted) {
      if (this.entries.has(request.key)) continue;
      const entry: Entry = { wanted: request, backoff: new Backoff(RETRY), state: undefined, timer: undefined };
      this.entries.set(request.key, entry);
      void this.refresh(entry);
    }
  }

  close(): void {
    this.want([]);
  }

  private async refresh(entry: Entry): Promise<void> {
    const { clock, onFetch, onChange } = this.options;
    const before = entry.state;
    let problem: string | undefined;
    try {
      const jwks = await this.fetchKeys(entry.wanted);
      entry.state = { jwks, problem: undefined, fetchedAt: new Date(clock.now()).toISOString() };
      entry.backoff.reset();
    } catch (error) {
      problem = messageOf(error);
      entry.state = { jwks: before?.jwks ?? '', problem, fetchedAt: before?.fetchedAt ?? '' };
    }
    // Nobody wants it any more.
    if (this.entries.get(entry.wanted.key) !== entry) return;
    onFetch?.(problem === undefined);
    if (problem !== undefined && before?.problem !== problem) log.warn('a key set cannot be fetched', { key: entry.wanted.key, problem, stale: entry.state.jwks !== '' });
    entry.timer = clock.after(problem === undefined ? REFRESH_MS : entry.backoff.next(), () => void this.refresh(entry));
    if (before?.jwks !== entry.state.jwks || before.problem !== problem) onChange();
  }

  private async fetchKeys({ uri, discover, timeoutMs }: WantedKeySet): Promise<string> {
    const fetchText = this.options.fetchText ?? fetchBounded;
    const text = await fetchText(discover ? await discoverKeys(uri, timeoutMs, fetchText) : uri, timeoutMs);
    if (!hasKeys(text)) throw new Error('the answer is no key set with usable keys');
    return text;
  }
}

/** @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig */
async function discoverKeys(uri: string, timeoutMs: number, fetchText: FetchText): Promise<string> {
  const document: unknown = JSON.parse(await fetchText(uri, timeoutMs));
  const found = typeof document === 'object' && document !== null && Object.hasOwn(document, 'jwks_uri') ? (document as { readonly jwks_uri: unknown }).jwks_uri : undefined;
  if (typeof found !== 'string') throw new Error(`${uri} names no jwks_uri`);
  return found;
}

/** One GET, with few redirects, bounded in bytes and in time. */
async function fetchBounded(uri: string, timeoutMs: number): Promise<string> {
  let at = uri;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const answer = await getOnce(at, timeoutMs);
    if (answer.location === undefined) return answer.text;
    at = new URL(answer.location, at).href;
  }
  throw new Error(`more than ${MAX_REDIRECTS} redirects`);
}

function getOnce(uri: string, timeoutMs: number): Promise<{ readonly text: string; readonly location: string | undefined }> {
  const { protocol } = new URL(uri);
  if (protocol !== 'http:' && protocol !== 'https:') return Promise.reject(new Error(`${protocol} is not supported`));
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https:' ? getHttps : getHttp)(uri, { signal: AbortSignal.timeout(timeoutMs), headers: { accept: 'application/json', 'user-agent': 'meltemi' } }, (response) => {
      const { statusCode = 0, headers } = response;
      if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
        response.destroy();
        return resolve({ text: '', location: headers.location });
      }
      if (statusCode !== 200) {
        response.destroy();
        return reject(new Error(`HTTP status ${statusCode}`));
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_BYTES) response.destroy(new Error(`the answer is longer than ${MAX_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => resolve({ text: Buffer.concat(chunks).toString('utf8'), location: undefined }));
      response.on('error', reject);
    });
    request.on('error', (error) => reject(error.name === 'AbortError' || error.name === 'TimeoutError' ? new Error(`no answer within ${timeoutMs} ms`) : error));
  });
}
