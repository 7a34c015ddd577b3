/** Reads of a message head that routing, filters and logs need. Names are lower case. Implemented by the codecs over their offset tables. */
export interface HeaderReader {
  /** First value, or undefined. */
  get(name: string): string | undefined;
  has(name: string): boolean;
  /** All values in order. */
  getAll(name: string): readonly string[];
}

/** A head that filters may change. Order of untouched headers is kept on the wire. */
export interface HeaderMap extends HeaderReader {
  /** Replaces all values of the name by one. */
  set(name: string, value: string): void;
  /** The same for a value that cannot end its line: out of a parsed head, or made by ourselves of numbers, addresses and the like. */
  put(name: string, value: string): void;
  /** Adds one more line. */
  append(name: string, value: string): void;
  remove(name: string): void;
  entries(): IterableIterator<readonly [name: string, value: string]>;
}

/** A request as filters see it. Pseudo headers are fields, not headers; filters that rewrite assign them. */
export interface RequestHead {
  method: string;
  /** Path with query, as it goes on. */
  path: string;
  /** Host header or :authority, as sent. */
  authority: string;
  scheme: 'http' | 'https';
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';
  readonly headers: HeaderMap;
}

export interface ResponseHead {
  status: number;
  readonly headers: HeaderMap;
}
