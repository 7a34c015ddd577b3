// jwt-server: an issuer for trying RequestAuthentication. It makes its key when it starts and keeps it to itself.
//   GET /jwks                              the key set
//   GET /.well-known/openid-configuration  where it is
//   GET /token?sub=me&aud=a&ttl=60&groups=a,b   a token; any other parameter becomes a claim, lists are written with commas
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';

const port = Number(process.env['PORT'] ?? 8000);
const issuer = process.env['ISSUER'] ?? 'testing@secure.istio.io';
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const kid = randomUUID();
const keySet = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] };
const DEFAULT_TTL_SECONDS = 3600;

createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const json = (value: unknown): void => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  if (url.pathname === '/jwks') json(keySet);
  else if (url.pathname === '/.well-known/openid-configuration') json({ issuer, jwks_uri: `http://${request.headers.host ?? `localhost:${port}`}/jwks` });
  else if (url.pathname === '/token') response.writeHead(200, { 'content-type': 'text/plain' }).end(`${token(url.searchParams)}\n`);
  else response.writeHead(404).end();
}).listen(port, () => console.log(`Starting HTTP server at :${port}`));

function token(wanted: URLSearchParams): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = new Map<string, unknown>([['iss', issuer], ['sub', issuer], ['iat', now], ['exp', now + (Number(wanted.get('ttl')) || DEFAULT_TTL_SECONDS)]]);
  for (const [name, value] of wanted) if (name !== 'ttl') claims.set(name, value.includes(',') ? value.split(',') : value);
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ alg: 'RS256', kid, typ: 'JWT' })}.${encode(Object.fromEntries(claims))}`;
  return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`;
}
