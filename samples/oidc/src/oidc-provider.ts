// oidc-provider: a small OpenID provider for trying a login at the gateway. FOR DEMONSTRATION: its users and their passwords are a list in its environment, its
// key lives as long as the process. Authorization code flow with PKCE (S256), discovery, key set, signed id_token.
//   GET  /.well-known/openid-configuration   what is where
//   GET  /jwks                               the key set
//   GET  /authorize                          the login form; POST: a login
//   POST /token                              a code for an id_token
import { createHash, generateKeyPairSync, randomBytes, sign, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const port = Number(process.env['PORT'] ?? 8000);
const issuer = process.env['ISSUER'] ?? `http://localhost:${port}`;
const clientId = process.env['CLIENT_ID'] ?? 'mesh';
/** `name:password[:group+group]`, with commas between. */
const users = new Map((process.env['USERS'] ?? 'alice:wonderland:admin+dev,bob:builder:dev').split(',').map((entry) => {
  const [name = '', password = '', groups = ''] = entry.split(':');
  return [name, { password, groups: groups === '' ? [] : groups.split('+') }] as const;
}));
const CODE_TTL_MS = 60_000;
const TOKEN_TTL_SECONDS = Number(process.env['TOKEN_TTL_SECONDS'] ?? 3600);
const MAX_CODES = 1000;
const MAX_BODY = 16 * 1024;

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const kid = randomBytes(8).toString('hex');
const keySet = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] };

interface Grant {
  readonly user: string;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly nonce: string;
  readonly expiresMs: number;
}
const codes = new Map<string, Grant>();

createServer((request, response) => {
  serve(request, response).catch((error: unknown) => {
    console.error(error);
    if (!response.headersSent) response.writeHead(500);
    response.end();
  });
}).listen(port, () => console.log(`Starting OpenID provider ${issuer} at :${port}`));

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://provider');
  const where = `${request.method} ${url.pathname}`;
  if (where === 'GET /.well-known/openid-configuration') return json(response, 200, {
    issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`, response_types_supported: ['code'], subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'], grant_types_supported: ['authorization_code'], code_challenge_methods_supported: ['S256'], token_endpoint_auth_methods_supported: ['none'], scopes_supported: ['openid'],
  });
  if (where === 'GET /jwks') return json(response, 200, keySet);
  if (where === 'GET /authorize') return form(response, url.searchParams, wrongIn(url.searchParams, request));
  if (where === 'POST /authorize') return login(request, response, new URLSearchParams(await bodyOf(request)));
  if (where === 'POST /token') return token(response, new URLSearchParams(await bodyOf(request)));
  response.writeHead(404).end('not found\n');
}

/**
 * What is wrong with a request for a login; undefined: nothing. Whoever asks is sent back only to the callback of the host he came through: with the gateway
 * in front of both, nobody else's site can be named. A real provider has a list of addresses.
 */
function wrongIn(asked: URLSearchParams, request: IncomingMessage): string | undefined {
  if (asked.get('response_type') !== 'code') return 'response_type is not "code"';
  if (asked.get('client_id') !== clientId) return 'this client is not known';
  if (asked.get('code_challenge_method') !== 'S256' || !/^[A-Za-z0-9_-]{43}$/.test(asked.get('code_challenge') ?? '')) return 'code_challenge with method S256 is needed';
  const host = request.headers.host ?? '';
  const wanted = asked.get('redirect_uri') ?? '';
  return ['http', 'https'].some((scheme) => wanted === `${scheme}://${host}/oauth2/callback`) ? undefined : 'redirect_uri is not the callback of this host';
}

function form(response: ServerResponse, asked: URLSearchParams, problem: string | undefined, status = problem === undefined ? 200 : 400, note = ''): void {
  const hidden = [...asked].filter(([name]) => name !== 'username' && name !== 'password').map(([name, value]) => `<input type="hidden" name="${escaped(name)}" value="${escaped(value)}">`).join('');
  const inner = problem !== undefined ? `<p>${escaped(problem)}</p>`
    : `<form method="post"><p>${escaped(note)}</p>${hidden}<label>Name <input name="username" autofocus></label> <label>Password <input name="password" type="password"></label> <button>Log in</button></form>`;
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'content-security-policy': "default-src 'none'; frame-ancestors 'none'" });
  response.end(`<!doctype html><title>Log in</title><h1>Demonstration login</h1>${inner}\n`);
}

function login(request: IncomingMessage, response: ServerResponse, asked: URLSearchParams): void {
  const problem = wrongIn(asked, request);
  if (problem !== undefined) return form(response, asked, problem);
  const name = asked.get('username') ?? '';
  const user = users.get(name);
  if (!same(asked.get('password') ?? '', user?.password ?? '') || user === undefined) return form(response, asked, undefined, 401, 'Name or password are wrong.');
  const now = Date.now();
  for (const [code, grant] of codes) if (grant.expiresMs < now || codes.size >= MAX_CODES) codes.delete(code);
  const code = randomBytes(32).toString('base64url');
  const redirectUri = asked.get('redirect_uri')!;
  codes.set(code, { user: name, redirectUri, challenge: asked.get('code_challenge')!, nonce: asked.get('nonce') ?? '', expiresMs: now + CODE_TTL_MS });
  const back = new URL(redirectUri);
  back.searchParams.set('code', code);
  back.searchParams.set('state', asked.get('state') ?? '');
  response.writeHead(303, { location: back.href, 'cache-control': 'no-store' }).end();
}

/** A code counts once, even when the rest of the request is wrong. */
function token(response: ServerResponse, asked: URLSearchParams): void {
  const code = asked.get('code') ?? '';
  const grant = codes.get(code);
  codes.delete(code);
  const challenge = createHash('sha256').update(asked.get('code_verifier') ?? '').digest('base64url');
  if (asked.get('grant_type') !== 'authorization_code') return json(response, 400, { error: 'unsupported_grant_type' });
  if (grant === undefined || grant.expiresMs < Date.now() || grant.redirectUri !== asked.get('redirect_uri') || asked.get('client_id') !== clientId || !same(challenge, grant.challenge)) return json(response, 400, { error: 'invalid_grant' });
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, sub: grant.user, aud: clientId, iat: now, exp: now + TOKEN_TTL_SECONDS, nonce: grant.nonce, groups: users.get(grant.user)!.groups };
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ alg: 'RS256', kid, typ: 'JWT' })}.${encode(claims)}`;
  json(response, 200, { token_type: 'Bearer', expires_in: TOKEN_TTL_SECONDS, id_token: `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}` });
}

/** Equal, in a time that does not tell how much is. */
function same(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash('sha256').update(text).digest()) as [Buffer, Buffer];
  return timingSafeEqual(a, b);
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(value));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY) throw new Error('the body is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
