/**
 * Header blocks of SPDY/3.1: name and value pairs, compressed with one zlib stream a connection and direction, which starts from a dictionary both sides know.
 * @see https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/#TOC-2.6.10-Name-Value-Header-Block
 */
import { constants, createInflate } from 'node:zlib';

const WORDS = [
  'options', 'head', 'post', 'put', 'delete', 'trace', 'accept', 'accept-charset', 'accept-encoding', 'accept-language', 'accept-ranges', 'age', 'allow', 'authorization', 'cache-control', 'connection', 'content-base',
  'content-encoding', 'content-language', 'content-length', 'content-location', 'content-md5', 'content-range', 'content-type', 'date', 'etag', 'expect', 'expires', 'from', 'host', 'if-match', 'if-modified-since',
  'if-none-match', 'if-range', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'pragma', 'proxy-authenticate', 'proxy-authorization', 'range', 'referer', 'retry-after', 'server', 'te', 'trailer',
  'transfer-encoding', 'upgrade', 'user-agent', 'vary', 'via', 'warning', 'www-authenticate', 'method', 'get', 'status', '200 OK', 'version', 'HTTP/1.1', 'url', 'public', 'set-cookie', 'keep-alive', 'origin',
];
const TAIL =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden' +
  '404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,' +
  'image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

const withLength = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

/** What both zlib streams have seen before their first byte. */
export const SPDY_DICTIONARY = Buffer.concat([...WORDS.map(withLength), Buffer.from(TAIL)]);

/** Blocks are short here (a port, a kind of stream); a longer one, or one that unpacks to more, is refused. */
export const MAX_HEADER_BYTES = 64 * 1024;

/** Unpacks the header blocks of one direction of a connection, in order. */
export class HeaderInflater {
  private readonly inflate = createInflate({ dictionary: SPDY_DICTIONARY, finishFlush: constants.Z_SYNC_FLUSH });

  /** Names are in lower case. Rejects when the block is broken or too large. */
  decode(block: Buffer): Promise<ReadonlyMap<string, string>> {
    return new Promise((resolve, reject) => {
      const { inflate } = this;
      const parts: Buffer[] = [];
      let size = 0;
      const collect = (part: Buffer): void => {
        size += part.length;
        if (size <= MAX_HEADER_BYTES) parts.push(part);
      };
      inflate.once('error', reject);
      inflate.on('data', collect);
      inflate.write(block, () => {
        // What the write produced has been read when the next turn comes.
        setImmediate(() => {
          inflate.off('data', collect);
          inflate.off('error', reject);
          try {
            if (size > MAX_HEADER_BYTES) throw new Error('SPDY header block is too large');
            resolve(parseHeaderBlock(Buffer.concat(parts)));
          } catch (thrown) {
            reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
          }
        });
      });
    });
  }

  close(): void {
    this.inflate.destroy();
  }
}

/** Reads an unpacked header block. @throws RangeError when it ends too early */
export function parseHeaderBlock(block: Buffer): ReadonlyMap<string, string> {
  let offset = 0;
  const number = (): number => {
    const value = block.readUInt32BE(offset);
    offset += 4;
    return value;
  };
  const text = (): string => {
    const length = number();
    if (offset + length > block.length) throw new RangeError('SPDY header block ends too early');
    offset += length;
    return block.toString('latin1', offset - length, offset);
  };
  const headers = new Map<string, string>();
  for (let left = number(); left > 0; left--) {
    const name = text().toLowerCase();
    headers.set(name, text());
  }
  return headers;
}

/** A zlib header without dictionary: readers that have one need not use it. */
const ZLIB_START = Buffer.of(0x78, 0x01);
/** A stored block with "no headers", and the empty block that makes readers hand it out. */
const NO_HEADERS = Buffer.of(0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/** The packed header block of an answer without headers; `first` for the first one of a connection. */
export function emptyHeaderBlock(first: boolean): Buffer {
  return first ? Buffer.concat([ZLIB_START, NO_HEADERS]) : NO_HEADERS;
}
