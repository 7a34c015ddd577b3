/** Names and values by turns; entry n (from 1) is at 2(n - 1). @see RFC 7541 appendix A */
export const STATIC_FIELDS: readonly string[] = [
  ':authority', '', ':method', 'GET', ':method', 'POST', ':path', '/', ':path', '/index.html', ':scheme', 'http', ':scheme', 'https', ':status', '200', ':status', '204', ':status', '206', ':status', '304',
  ':status', '400', ':status', '404', ':status', '500', 'accept-charset', '', 'accept-encoding', 'gzip, deflate', 'accept-language', '', 'accept-ranges', '', 'accept', '', 'access-control-allow-origin', '',
  'age', '', 'allow', '', 'authorization', '', 'cache-control', '', 'content-disposition', '', 'content-encoding', '', 'content-language', '', 'content-length', '', 'content-location', '', 'content-range', '',
  'content-type', '', 'cookie', '', 'date', '', 'etag', '', 'expect', '', 'expires', '', 'from', '', 'host', '', 'if-match', '', 'if-modified-since', '', 'if-none-match', '', 'if-range', '',
  'if-unmodified-since', '', 'last-modified', '', 'link', '', 'location', '', 'max-forwards', '', 'proxy-authenticate', '', 'proxy-authorization', '', 'range', '', 'referer', '', 'refresh', '', 'retry-after', '',
  'server', '', 'set-cookie', '', 'strict-transport-security', '', 'transfer-encoding', '', 'user-agent', '', 'vary', '', 'via', '', 'www-authenticate', '',
];

/** Entries of the static table. */
export const STATIC_COUNT = 61;

/** What an entry of the dynamic table costs beside its text. @see RFC 7541 section 4.1 */
export const ENTRY_OVERHEAD_BYTES = 32;
