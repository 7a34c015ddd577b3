// reviews: two opinions, with stars from ratings in v2 (black) and v3 (red). Port 9080, GET /reviews/<id>, GET /health.
// SERVICE_VERSION (v1, v2, v3) sets both ENABLE_RATINGS and STAR_COLOR; either may be given on its own.
import { hostname } from 'node:os';
import { fetchText, propagatedHeaders, sendJson, serve, serviceUrl } from './lib/service.ts';

const version = process.env['SERVICE_VERSION'] ?? 'v1';
const withRatings = (process.env['ENABLE_RATINGS'] ?? String(version !== 'v1')) === 'true';
const starColor = process.env['STAR_COLOR'] ?? (version === 'v3' ? 'red' : 'black');
// The deliberate bug of the fault-injection lesson: v2 waits ten seconds for ratings although productpage gives up on reviews after three.
const ratingsTimeoutMs = starColor === 'black' ? 10_000 : 2500;

const TEXTS: Readonly<Record<string, string>> = {
  Reviewer1: 'A comedy that never slows down: two pairs of twins, one port, and not a dull page.',
  Reviewer2: 'Great fun on stage and on paper, although some of the later plays go deeper.',
};

serve('reviews', async (request, response, url) => {
  if (url.pathname === '/health') return sendJson(response, 200, { status: 'Reviews is healthy' });
  const match = /^\/reviews\/([^/]+)$/.exec(url.pathname);
  if (!match) return sendJson(response, 404, { error: 'not found' });
  const id = match[1]!;
  const stars = withRatings ? await readRatings(id, propagatedHeaders(request.headers)) : undefined;
  const reviews = Object.entries(TEXTS).map(([reviewer, text]) => ({ reviewer, text, ...(withRatings && { rating: ratingOf(stars, reviewer) }) }));
  return sendJson(response, 200, { id, podname: process.env['HOSTNAME'] ?? hostname(), clustername: process.env['CLUSTER_NAME'] ?? null, reviews });
});

function ratingOf(stars: Readonly<Record<string, number>> | undefined, reviewer: string): object {
  const count = stars && Object.hasOwn(stars, reviewer) ? stars[reviewer] : undefined;
  return count === undefined ? { error: 'Ratings service is currently unavailable' } : { stars: count, color: starColor };
}

async function readRatings(id: string, headers: Record<string, string>): Promise<Readonly<Record<string, number>> | undefined> {
  const { status, body } = await fetchText(`${serviceUrl('ratings')}/ratings/${encodeURIComponent(id)}`, headers, ratingsTimeoutMs);
  if (status !== 200) {
    console.error(`ratings answered ${status || 'nothing'}`);
    return undefined;
  }
  try {
    return (JSON.parse(body) as { ratings: Record<string, number> }).ratings;
  } catch {
    return undefined;
  }
}
