// oidc-login: logs people in at the gateway. Envoy asks it about every request (ext_authz over HTTP, path prefix /check); who has no session is sent to the OpenID
// provider, comes back to /oauth2/callback, and gets a session cookie; his requests then go on with the provider's id_token. FOR DEMONSTRATION: sessions are kept
// in memory, so there is one replica.
//   ANY  /check/…            allowed (200, authorization and x-auth-user set) or sent to the login (302); 401 for what is no page
//   GET  /oauth2/callback    the provider's answer
//   ANY  /oauth2/logout      ends the session
import { createHash, createPublicKey, randomBytes, verify, type JsonWebKey } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const port = Number(process.env['PORT'] ?? 8000);
const issuer = process.env['ISSUER'] ?? 'http://localhost:8000';
const clientId = process.env['CLIENT_ID'] ?? 'mesh';
/** Where the browser finds the provider's login form; '' = where the provider says. */
const authorizeUrl = process.env['AUTHORIZE_URL'] ?? '';
const SESSION = 'meltemi-session';
const STATE = 'meltemi-login';
const LOGIN_TTL_MS = 600_000;
const MAX_ENTRIES = 10_000;
const FETCH_MS = 5000;

interface Login {
  readonly verifier: string;
  readonly nonce: string;
  readonly back: string;
  readonly redirectUri: string;
  readonly expiresMs: number;
}
interface Session {
  readonly idToken: string;
  readonly user: string;
  readonly expiresMs: number;
}
const logins = new Map<string, Login>();
const sessions = new Map<string, Session>();

createServer((request, response) => {
  serve(request, response).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    if (!response.headersSent) response.writeHead(502, { 'content-type': 'text/plain' });
    response.end('The login failed. Start again from the page you wanted.\n');
  });
}).listen(port, () => console.log(`Starting login service for ${issuer} at :${port}`));

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://login');
  if (url.pathname === '/check' || url.pathname.startsWith('/check/')) return check(request, response);
  if (url.pathname === '/oauth2/callback') return callback(request, response, url.searchParams);
  if (url.pathname === '/oauth2/logout') {
    sessions.delete(cookies(request).get(SESSION) ?? '');
    response.writeHead(200, { 'content-type': 'text/plain', 'set-cookie': cookie(request, SESSION, '', 0), 'cache-control': 'no-store' }).end('logged out\n');
    return;
  }
  response.writeHead(404).end('not found\n');
}

async function check(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const session = sessions.get(cookies(request).get(SESSION) ?? '');
  if (session !== undefined && session.expiresMs > Date.now()) {
    response.writeHead(200, { authorization: `Bearer ${session.idToken}`, 'x-auth-user': encodeURIComponent(session.user) }).end();
    return;
  }
  // Only what a browser shows is worth a redirect; a script gets a clear answer.
  if (request.method !== 'GET' || !(request.headers.accept ?? '').includes('text/html')) {
    response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":"log in first"}\n');
    return;
  }
  const [state, verifier, nonce] = [randomBytes(32), randomBytes(32), randomBytes(16)].map((bytes) => bytes.toString('base64url')) as [string, string, string];
  const redirectUri = `${schemeOf(request)}://${request.headers.host ?? ''}/oauth2/callback`;
  remember(logins, state, { verifier, nonce, back: ownPath((request.url ?? '/check').slice('/check'.length)), redirectUri, expiresMs: Date.now() + LOGIN_TTL_MS });
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const query = new URLSearchParams({ response_type: 'code', client_id: clientId, scope: 'openid', redirect_uri: redirectUri, state, nonce, code_challenge: challenge, code_challenge_method: 'S256' });
  const form = authorizeUrl === '' ? await discovered('authorization_endpoint') : authorizeUrl;
  response.writeHead(302, { location: `${form}?${query}`, 'set-cookie': cookie(request, STATE, state, LOGIN_TTL_MS / 1000), 'cache-control': 'no-store' }).end();
}

/** The state must be the one this very browser was sent away with: else somebody could be logged in as somebody else. */
async function callback(request: IncomingMessage, response: ServerResponse, answer: URLSearchParams): Promise<void> {
  const state = answer.get('state') ?? '';
  const login = logins.get(state);
  logins.delete(state);
  if (login === undefined || login.expiresMs < Date.now() || cookies(request).get(STATE) !== state) {
    response.writeHead(400, { 'content-type': 'text/plain' }).end('This login is not known or too old. Start again from the page you wanted.\n');
    return;
  }
  const body = new URLSearchParams({ grant_type: 'authorization_code', code: answer.get('code') ?? '', redirect_uri: login.redirectUri, client_id: clientId, code_verifier: login.verifier });
  const tokens = await fetchJson(await discovered('token_endpoint'), { method: 'POST', body });
  const idToken = textOf(tokens, 'id_token');
  const claims = await verified(idToken, login.nonce);
  const id = randomBytes(32).toString('base64url');
  remember(sessions, id, { idToken, user: claims.sub, expiresMs: claims.exp * 1000 });
  response.writeHead(302, { location: login.back, 'set-cookie': [cookie(request, SESSION, id, claims.exp - Math.floor(Date.now() / 1000)), cookie(request, STATE, '', 0)], 'cache-control': 'no-store' }).end();
}

/** @throws Error unless the token is the issuer's, for us, for this login, and in time. */
async function verified(idToken: string, nonce: string): Promise<{ readonly sub: string; readonly exp: number }> {
  const [header = '', payload = '', signature = ''] = idToken.split('.');
  const { alg, kid } = decoded(header);
  if (alg !== 'RS256') throw new Error('the id_token is signed with another algorithm than RS256');
  const { keys } = await fetchJson(await discovered('jwks_uri'));
  const key = Array.isArray(keys) ? (keys as (JsonWebKey & { readonly kid?: string })[]).find((one) => one.kid === kid && one.kty === 'RSA') : undefined;
  if (key === undefined || !verify('sha256', Buffer.from(`${header}.${payload}`), createPublicKey({ key, format: 'jwk' }), Buffer.from(signature, 'base64url'))) throw new Error('the id_token is not signed by the issuer');
  const claims = decoded(payload);
  if (claims['iss'] !== issuer || claims['aud'] !== clientId || claims['nonce'] !== nonce) throw new Error('the id_token is of another issuer, client or login');
  const { sub, exp } = claims;
  if (typeof sub !== 'string' || typeof exp !== 'number' || exp * 1000 < Date.now()) throw new Error('the id_token has no subject or is too old');
  return { sub, exp };
}

/** A field of the provider's own description. @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig */
async function discovered(field: string): Promise<string> {
  const document = await fetchJson(`${issuer}/.well-known/openid-configuration`);
  if (document['issuer'] !== issuer) throw new Error(`the provider is not ${issuer}`);
  return textOf(document, field);
}

async function fetchJson(url: string, init: { readonly method?: string; readonly body?: URLSearchParams } = {}): Promise<Record<string, unknown>> {
  const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(FETCH_MS) });
  if (!answer.ok) throw new Error(`${url}: HTTP status ${answer.status}`);
  const value: unknown = await answer.json();
  if (typeof value !== 'object' || value === null) throw new Error(`${url}: no object`);
  return value as Record<string, unknown>;
}

function decoded(section: string): Record<string, unknown> {
  const value: unknown = JSON.parse(Buffer.from(section, 'base64url').toString('utf8'));
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(object: Record<string, unknown>, field: string): string {
  const value = Object.hasOwn(object, field) ? object[field] : undefined;
  if (typeof value !== 'string') throw new Error(`the provider says no ${field}`);
  return value;
}

/** What is too old goes first, then what is oldest. */
function remember<T extends { readonly expiresMs: number }>(map: Map<string, T>, key: string, value: T): void {
  const now = Date.now();
  if (map.size >= MAX_ENTRIES) for (const [old, { expiresMs }] of map) if (expiresMs < now) map.delete(old);
  for (const old of map.keys()) {
    if (map.size < MAX_ENTRIES) break;
    map.delete(old);
  }
  map.set(key, value);
}

/** A path of this site; anything that a browser would take for another site becomes the root. */
function ownPath(path: string): string {
  return /^\/(?![/\\])[\x21-\x7e]*$/.test(path) ? path : '/';
}

function schemeOf(request: IncomingMessage): string {
  return request.headers['x-forwarded-proto'] === 'https' ? 'https' : 'http';
}

function cookie(request: IncomingMessage, name: string, value: string, maxAgeSeconds: number): string {
  return `${name}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}${schemeOf(request) === 'https' ? '; Secure' : ''}`;
}

function cookies(request: IncomingMessage): Map<string, string> {
  return new Map((request.headers.cookie ?? '').split(';').map((pair) => {
    const at = pair.indexOf('=');
    return [pair.slice(0, Math.max(at, 0)).trim(), pair.slice(at + 1).trim()] as const;
  }));
}
