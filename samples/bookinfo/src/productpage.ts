// productpage: the web page of one book. Port 9080. It asks details and reviews, and passes the signed-in user on as `end-user`.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { indexPage, productPage, type Details, type Reviews } from './lib/page.ts';
import { fetchText, propagatedHeaders, readBody, sendJson, serve, serviceUrl } from './lib/service.ts';

const sessionKey = randomBytes(32);
const product = { id: 0, title: 'The Comedy of Errors', descriptionHtml: 'Two pairs of twins, parted by a shipwreck, walk into the same town on the same day, and nobody can tell who is who.' };
const REQUEST_TIMEOUT_MS = 3000;

serve('productpage', async (request, response, url) => {
  const path = url.pathname;
  if (path === '/' || path === '/index.html') return sendHtml(response, 200, indexPage());
  if (path === '/health') return sendText(response, 200, 'Product page is healthy');
  if (path === '/login' && request.method === 'POST') return login(request, response);
  if (path === '/logout') return redirect(response, '/productpage', 'session=; Path=/; Max-Age=0');
  if (path === '/productpage') return showProduct(request, response);
  if (path === '/api/v1/products') return sendJson(response, 200, [product]);
  const api = /^\/api\/v1\/products\/(\d+)(?:\/(reviews|ratings))?$/.exec(path);
  if (api) return answerApi(request, response, Number(api[1]), api[2]);
  return sendText(response, 404, 'Not Found');
});

async function showProduct(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const user = signedInUser(request);
  const headers = outgoingHeaders(request, user);
  const [details, reviews] = [await getDetails(headers), await getReviews(headers)];
  sendHtml(response, 200, productPage(product, details, reviews, user));
}

async function getDetails(headers: Record<string, string>): Promise<Details> {
  const { status, body } = await fetchText(`${serviceUrl('details')}/details/${product.id}`, headers, REQUEST_TIMEOUT_MS);
  if (status === 200) return { status, body: JSON.parse(body) as Record<string, unknown> };
  return { status: status || 500, error: 'Sorry, product details are currently unavailable for this book.' };
}

async function getReviews(headers: Record<string, string>): Promise<Reviews> {
  // The deliberate bug of the fault-injection lesson: asked twice, with three seconds each, however long reviews itself may wait for ratings.
  let status = 0;
  for (let attempt = 0; attempt < 2; attempt++) {
    const answer = await fetchText(`${serviceUrl('reviews')}/reviews/${product.id}`, headers, REQUEST_TIMEOUT_MS);
    if (answer.status === 200) return { status: 200, body: JSON.parse(answer.body) as NonNullable<Reviews['body']> };
    status = answer.status;
  }
  return { status: status || 500, error: 'Sorry, product reviews are currently unavailable for this book.' };
}

async function answerApi(request: IncomingMessage, response: ServerResponse, id: number, part: string | undefined): Promise<void> {
  if (id !== product.id) return sendJson(response, 404, { error: `there is no product ${id}` });
  const headers = outgoingHeaders(request, signedInUser(request));
  if (part === 'reviews') {
    const { status, body, error } = await getReviews(headers);
    return sendJson(response, status, body ?? { error });
  }
  if (part === 'ratings') {
    const { status, body } = await fetchText(`${serviceUrl('ratings')}/ratings/${id}`, headers, REQUEST_TIMEOUT_MS);
    return sendJson(response, status || 500, status === 200 ? JSON.parse(body) : { error: 'Sorry, product ratings are currently unavailable for this book.' });
  }
  const { status, body, error } = await getDetails(headers);
  return sendJson(response, status, body ?? { error });
}

function outgoingHeaders(request: IncomingMessage, user: string | undefined): Record<string, string> {
  const headers = propagatedHeaders(request.headers);
  delete headers['cookie'];
  if (user !== undefined) headers['end-user'] = user;
  return headers;
}

async function login(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const user = new URLSearchParams(await readBody(request)).get('username') ?? '';
  // The name becomes a header: only visible ASCII is let through.
  if (!/^[\x21-\x7e]{1,64}$/.test(user)) return redirect(response, '/productpage', 'session=; Path=/; Max-Age=0');
  return redirect(response, '/productpage', `session=${Buffer.from(user).toString('base64url')}.${sign(user)}; Path=/; HttpOnly; SameSite=Lax`);
}

function signedInUser(request: IncomingMessage): string | undefined {
  const match = /(?:^|;\s*)session=([\w-]+)\.([\w-]+)/.exec(request.headers.cookie ?? '');
  if (!match) return undefined;
  const user = Buffer.from(match[1]!, 'base64url').toString();
  const [given, expected] = [Buffer.from(match[2]!), Buffer.from(sign(user))];
  return given.length === expected.length && timingSafeEqual(given, expected) ? user : undefined;
}

function sign(user: string): string {
  return createHmac('sha256', sessionKey).update(user).digest('base64url');
}

function sendHtml(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'content-length': Buffer.byteLength(html) });
  response.end(html);
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function redirect(response: ServerResponse, location: string, cookie: string): void {
  response.writeHead(302, { location, 'set-cookie': cookie, 'content-length': 0 });
  response.end();
}
