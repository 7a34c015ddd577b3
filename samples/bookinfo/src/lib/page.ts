// The HTML of productpage, as pure functions. No script, no outside resource: the page works behind any gateway.

export interface Details {
  readonly status: number;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly error?: string;
}

export interface Reviews {
  readonly status: number;
  readonly body?: {
    readonly podname: string | null;
    readonly reviews: readonly { readonly reviewer: string; readonly text: string; readonly rating?: { readonly stars?: number; readonly color?: string; readonly error?: string } }[];
  };
  readonly error?: string;
}

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1f2933}header{background:#0b4f6c;color:#fff;padding:.8rem 2rem;display:flex;justify-content:space-between;align-items:center}
header a{color:#fff}main{max-width:62rem;margin:2rem auto;padding:0 1rem}h1{font-weight:600}.columns{display:grid;grid-template-columns:1fr 1fr;gap:2rem}dt{font-weight:600}
blockquote{border-left:4px solid #cbd2d9;margin:1rem 0;padding:.2rem 1rem}.error{color:#a61b1b}.stars{font-size:1.3rem}footer{color:#52606d;font-size:.9rem}@media(max-width:48rem){.columns{grid-template-columns:1fr}}`;

export function escapeHtml(value: unknown): string {
  return String(value).replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[c]!);
}

function layout(body: string, user?: string): string {
  const account = user === undefined
    ? '<form method="post" action="login"><input name="username" placeholder="User name" aria-label="User name"> <input name="passwd" type="password" placeholder="Password" aria-label="Password"> <button>Sign in</button></form>'
    : `<span>${escapeHtml(user)} (<a href="logout">sign out</a>)</span>`;
  return `<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Simple Bookstore App</title>\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>${STYLE}</style>\n</head>\n<body>\n<header><strong>Bookinfo Sample</strong>${account}</header>\n<main>\n${body}\n</main>\n</body>\n</html>\n`;
}

export function indexPage(): string {
  return layout('<h1>Bookinfo</h1>\n<p>Four small services behind one page. <a href="productpage">Normal user</a> · <a href="productpage?u=test">Test user</a></p>');
}

export function productPage(product: { readonly title: string; readonly descriptionHtml: string }, details: Details, reviews: Reviews, user: string | undefined): string {
  return layout(`<h1>${escapeHtml(product.title)}</h1>\n<p>${product.descriptionHtml}</p>\n<div class="columns">\n<section>${detailsSection(details)}</section>\n<section>${reviewsSection(reviews)}</section>\n</div>`, user);
}

function detailsSection({ body, error }: Details): string {
  if (!body) return `<h2 class="error">Error fetching product details!</h2>\n<p>${escapeHtml(error)}</p>`;
  const rows: readonly (readonly [label: string, key: string])[] = [['Type', 'type'], ['Pages', 'pages'], ['Publisher', 'publisher'], ['Language', 'language'], ['ISBN-10', 'ISBN-10'], ['ISBN-13', 'ISBN-13']];
  return `<h2>Book Details</h2>\n<dl>${rows.map(([label, key]) => `<dt>${label}:</dt><dd>${escapeHtml(body[key])}</dd>`).join('\n')}</dl>`;
}

function reviewsSection({ body, error }: Reviews): string {
  if (!body) return `<h2 class="error">Error fetching product reviews!</h2>\n<p>${escapeHtml(error)}</p>`;
  const quotes = body.reviews.map(({ reviewer, text, rating }) => `<blockquote><p>${escapeHtml(text)}</p><small>${escapeHtml(reviewer)}</small>${rating ? stars(rating) : ''}</blockquote>`);
  return `<h2>Book Reviews</h2>\n${quotes.join('\n')}\n<footer>Reviews served by: <u>${escapeHtml(body.podname ?? 'unknown')}</u></footer>`;
}

function stars(rating: { readonly stars?: number; readonly color?: string; readonly error?: string }): string {
  if (rating.stars === undefined) return `<p><i>${escapeHtml(rating.error ?? 'Ratings service is currently unavailable')}</i></p>`;
  const full = '<span class="glyphicon glyphicon-star">★</span>'.repeat(rating.stars);
  const empty = '<span class="glyphicon glyphicon-star-empty">☆</span>'.repeat(Math.max(0, 5 - rating.stars));
  const color = rating.color === 'red' ? 'red' : 'black';
  return `\n<font color="${color}" class="stars" style="color:${color}"><!-- ${color} stars -->${full}${empty}</font>`;
}
