// details: what is printed on the cover. Port 9080, GET /details/<id>, GET /health.
import { sendJson, serve } from './lib/service.ts';

serve('details', (request, response, url) => {
  if (url.pathname === '/health') return sendJson(response, 200, { status: 'Details is healthy' });
  const match = /^\/details\/([^/]+)$/.exec(url.pathname);
  if (!match || request.method !== 'GET') return sendJson(response, 404, { error: 'not found' });
  const id = Number(match[1]);
  if (!Number.isInteger(id)) return sendJson(response, 400, { error: 'please provide numeric product id' });
  return sendJson(response, 200, {
    id, author: 'William Shakespeare', year: 1595, type: 'paperback', pages: 200, publisher: 'PublisherA', language: 'English',
    'ISBN-10': '1234567890', 'ISBN-13': '123-1234567890',
  });
});
