// ratings: stars by reviewer. Port 9080, GET and POST /ratings/<id>, GET /health. Ratings that were posted live in memory.
import { readBody, sendJson, serve } from './lib/service.ts';

const posted = new Map<number, Record<string, number>>();

serve('ratings', async (request, response, url) => {
  if (url.pathname === '/health') return sendJson(response, 200, { status: 'Ratings is healthy' });
  const match = /^\/ratings\/([^/]+)$/.exec(url.pathname);
  if (!match) return sendJson(response, 404, { error: 'not found' });
  const id = Number(match[1]);
  if (!Number.isInteger(id)) return sendJson(response, 400, { error: 'please provide numeric product ID' });
  if (request.method === 'POST') {
    const ratings = parseRatings(await readBody(request));
    if (!ratings) return sendJson(response, 400, { error: 'please provide valid ratings JSON' });
    posted.set(id, ratings);
    return sendJson(response, 200, { id, ratings });
  }
  return sendJson(response, 200, { id, ratings: posted.get(id) ?? { Reviewer1: 5, Reviewer2: 4 } });
});

function parseRatings(text: string): Record<string, number> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    return Object.values(value).every((stars) => typeof stars === 'number') ? (value as Record<string, number>) : undefined;
  } catch {
    return undefined;
  }
}
