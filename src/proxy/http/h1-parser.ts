import { COLON, CR, FIELD_BYTE, LF, SPACE, TAB, TOKEN, equalsIgnoringCase } from './h1-syntax.ts';

/** Outcomes of the parsers; negative ones refuse the message. */
export const PARSE = {
  complete: 1,
  /** More bytes are needed. */
  partial: 0,
  malformed: -1,
  tooLarge: -2,
  tooManyHeaders: -3,
  /** Both Content-Length and Transfer-Encoding. */
  lengthAndChunked: -4,
  /** A transfer coding other than chunked. */
  unknownCoding: -5,
  badLength: -6,
  badHost: -7,
  /** Neither HTTP/1.0 nor HTTP/1.1. */
  otherVersion: -8,
  /** A control byte in a value. */
  badCharacter: -9,
} as const;

export interface HeadLimits {
  readonly maxBytes: number;
  readonly maxHeaders: number;
}

/**
 * Where the parts of a head are: offsets into the parsed buffer, no strings. Reused for every message. Rows of `table` are
 * `[nameStart, nameEnd, valueStart, valueEnd]`; a row with an empty name is dropped (hop-by-hop, host).
 */
export class HeadOffsets {
  table = new Int32Array(4 * 32);
  count = 0;
  dropped = 0;
  methodStart = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  fieldsStart = 0;
  /** First byte after the head. */
  end = 0;
  minor = 1;
  status = 0;
  reasonStart = 0;
  reasonEnd = 0;
  /** -1 = absent. */
  contentLength = -1;
  chunked = false;
  /** `connection` tokens. */
  close = false;
  keepAlive = false;
  wantsUpgrade = false;
  upgradeRow = -1;
  connectionRow = -1;
  /** The connection header names other headers to drop. */
  nominates = false;
  hostRow = -1;
  expectContinue = false;
  /** Bit n: there is a name of n (mod 32) bytes. Tells without a look at the lines that nearly every name asked for is not there. */
  nameLengths = 0;

  reset(): void {
    this.count = 0;
    this.dropped = 0;
    this.nameLengths = 0;
    this.contentLength = -1;
    this.chunked = this.close = this.keepAlive = this.wantsUpgrade = this.nominates = this.expectContinue = false;
    this.upgradeRow = this.connectionRow = this.hostRow = -1;
  }

  drop(row: number): void {
    const offset = row << 2;
    if (this.table[offset] === this.table[offset + 1]) return;
    this.table[offset + 1] = this.table[offset]!;
    this.dropped++;
  }

  grow(): void {
    const larger = new Int32Array(this.table.length * 2);
    larger.set(this.table);
    this.table = larger;
  }
}

/**
 * Parses a request head. Strict: CRLF only, no folding, no space around names, token names, no control bytes in values, at most one Content-Length and
 * one Host, Transfer-Encoding exactly `chunked`. Names are lower-cased in place, as Envoy sends them.
 * @see RFC 9112; Envoy http1 codec
 */
export function parseRequestHead(buffer: Buffer, start: number, end: number, head: HeadOffsets, limits: HeadLimits): number {
  head.reset();
  let at = start;
  // Servers should ignore an empty line before a request line (RFC 9112 section 2.2).
  while (at + 1 < end && buffer[at] === CR && buffer[at + 1] === LF) at += 2;
  head.methodStart = at;
  while (at < end && TOKEN[buffer[at]!] === 1) at++;
  if (at >= end) return partialOrTooLarge(start, end, limits, at === end && end - head.methodStart > 64);
  if (buffer[at] !== SPACE || at === head.methodStart) return buffer[at] === CR && at === head.methodStart && at + 1 >= end ? PARSE.partial : PARSE.malformed;
  head.methodEnd = at++;
  head.targetStart = at;
  let byte = 0;
  while (at < end && (byte = buffer[at]!) > 32 && byte !== 127) at++;
  if (at >= end) return partialOrTooLarge(start, end, limits, false);
  if (byte !== SPACE || at === head.targetStart) return PARSE.malformed;
  head.targetEnd = at++;
  const version = parseVersion(buffer, at, end);
  if (version < 0) return isOtherVersion(buffer, at, end) ? PARSE.otherVersion : PARSE.malformed;
  if (at + 10 > end) return partialOrTooLarge(start, end, limits, false);
  head.minor = version;
  if (buffer[at + 8] !== CR || buffer[at + 9] !== LF) return PARSE.malformed;
  const outcome = parseFields(buffer, at + 10, end, head, limits, true);
  if (outcome === PARSE.partial) return partialOrTooLarge(start, end, limits, false);
  if (outcome === PARSE.complete && head.end - start > limits.maxBytes) return PARSE.tooLarge;
  return outcome;
}

/** Parses a response head with the same strictness. */
export function parseResponseHead(buffer: Buffer, start: number, end: number, head: HeadOffsets, limits: HeadLimits): number {
  head.reset();
  const version = parseVersion(buffer, start, end);
  if (version < 0) return PARSE.malformed;
  if (start + 13 > end) return PARSE.partial;
  head.minor = version;
  if (buffer[start + 8] !== SPACE) return PARSE.malformed;
  let status = 0;
  for (let index = start + 9; index < start + 12; index++) {
    const digit = buffer[index]! - 48;
    if (digit < 0 || digit > 9) return PARSE.malformed;
    status = status * 10 + digit;
  }
  if (status < 100) return PARSE.malformed;
  head.status = status;
  let at = start + 12;
  if (buffer[at] === SPACE) at++;
  else if (buffer[at] !== CR) return PARSE.malformed;
  head.reasonStart = at;
  while (at < end && FIELD_BYTE[buffer[at]!] === 1) at++;
  head.reasonEnd = at;
  if (at + 1 >= end) return partialOrTooLarge(start, end, limits, false);
  if (buffer[at] !== CR || buffer[at + 1] !== LF) return PARSE.malformed;
  const outcome = parseFields(buffer, at + 2, end, head, limits, false);
  if (outcome === PARSE.partial) return partialOrTooLarge(start, end, limits, false);
  if (outcome === PARSE.complete && head.end - start > limits.maxBytes) return PARSE.tooLarge;
  return outcome;
}

function partialOrTooLarge(start: number, end: number, limits: HeadLimits, malformed: boolean): number {
  if (malformed) return PARSE.malformed;
  return end - start > limits.maxBytes ? PARSE.tooLarge : PARSE.partial;
}

const VERSION = [72, 84, 84, 80, 47, 49, 46];

/** Minor version, as far as bytes are there; -1 = not HTTP/1.0 or 1.1. */
function parseVersion(buffer: Buffer, start: number, end: number): number {
  for (let index = 0; index < 7 && start + index < end; index++) if (buffer[start + index] !== VERSION[index]) return -1;
  if (start + 7 >= end) return 0;
  const minor = buffer[start + 7]! - 48;
  return minor === 0 || minor === 1 ? minor : -1;
}

/** `HTTP/2.0` and the like, complete with its line end. */
function isOtherVersion(buffer: Buffer, start: number, end: number): boolean {
  return end - start >= 10 && /^HTTP\/\d\.\d\r\n$/.test(buffer.toString('latin1', start, start + 10));
}

/** Parses header or trailer lines up to and including the empty line. */
export function parseFields(buffer: Buffer, start: number, end: number, head: HeadOffsets, limits: HeadLimits, request: boolean): number {
  let at = start;
  head.fieldsStart = start;
  let transferEncodings = 0;
  for (;;) {
    if (at >= end) return PARSE.partial;
    if (buffer[at] === CR) {
      if (at + 1 >= end) return PARSE.partial;
      if (buffer[at + 1] !== LF) return PARSE.malformed;
      head.end = at + 2;
      return finishFields(buffer, head, transferEncodings, request);
    }
    const nameStart = at;
    let byte = 0;
    while (at < end && TOKEN[(byte = buffer[at]!)] === 1) {
      if (byte >= 65 && byte <= 90) buffer[at] = byte | 32;
      at++;
    }
    if (at >= end) return PARSE.partial;
    if (byte !== COLON || at === nameStart) return PARSE.malformed;
    const nameEnd = at++;
    while (at < end && ((byte = buffer[at]!) === SPACE || byte === TAB)) at++;
    const valueStart = at;
    while (at < end && FIELD_BYTE[buffer[at]!] === 1) at++;
    if (at < end && buffer[at] !== CR) return buffer[at] === LF ? PARSE.malformed : PARSE.badCharacter;
    if (at + 1 >= end) return PARSE.partial;
    if (buffer[at + 1] !== LF) return PARSE.malformed;
    let valueEnd = at;
    while (valueEnd > valueStart && ((byte = buffer[valueEnd - 1]!) === SPACE || byte === TAB)) valueEnd--;
    at += 2;
    const row = head.count;
    if (row >= limits.maxHeaders) return PARSE.tooManyHeaders;
    if (row << 2 === head.table.length) head.grow();
    const offset = row << 2;
    const { table } = head;
    table[offset] = nameStart;
    table[offset + 1] = nameEnd;
    table[offset + 2] = valueStart;
    table[offset + 3] = valueEnd;
    head.count = row + 1;
    head.nameLengths |= 1 << (nameEnd - nameStart);
    const special = noteSpecial(buffer, row, nameStart, nameEnd, valueStart, valueEnd, head, request);
    if (special < 0) return special;
    transferEncodings += special;
  }
}

/** Looks at headers that frame the message or are hop-by-hop. Returns 1 for a transfer-encoding, 0 otherwise, negative to refuse. */
function noteSpecial(buffer: Buffer, row: number, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, head: HeadOffsets, request: boolean): number {
  switch (nameEnd - nameStart) {
    case 2:
      if (equalsIgnoringCase(buffer, nameStart, nameEnd, 'te')) {
        // Hop-by-hop, but gRPC servers ask for it and Envoy lets exactly this value pass.
        if (!equalsIgnoringCase(buffer, valueStart, valueEnd, 'trailers')) head.drop(row);
      }
      return 0;
    case 4:
      if (request && equalsIgnoringCase(buffer, nameStart, nameEnd, 'host')) {
        if (head.hostRow >= 0) return PARSE.badHost;
        head.hostRow = row;
      }
      return 0;
    case 6:
      if (equalsIgnoringCase(buffer, nameStart, nameEnd, 'expect')) head.expectContinue = equalsIgnoringCase(buffer, valueStart, valueEnd, '100-continue');
      return 0;
    case 7:
      if (equalsIgnoringCase(buffer, nameStart, nameEnd, 'upgrade')) head.upgradeRow = row;
      return 0;
    case 10:
      if (equalsIgnoringCase(buffer, nameStart, nameEnd, 'connection')) {
        noteConnection(buffer, valueStart, valueEnd, head);
        head.connectionRow = row;
        head.drop(row);
      } else if (equalsIgnoringCase(buffer, nameStart, nameEnd, 'keep-alive')) head.drop(row);
      return 0;
    case 14:
      return equalsIgnoringCase(buffer, nameStart, nameEnd, 'content-length') ? noteLength(buffer, valueStart, valueEnd, head) : 0;
    case 16:
      if (equalsIgnoringCase(buffer, nameStart, nameEnd, 'proxy-connection')) head.drop(row);
      return 0;
    case 17:
      if (!equalsIgnoringCase(buffer, nameStart, nameEnd, 'transfer-encoding')) return 0;
      head.drop(row);
      if (!equalsIgnoringCase(buffer, valueStart, valueEnd, 'chunked')) return PARSE.unknownCoding;
      head.chunked = true;
      return 1;
    default:
      return 0;
  }
}

function noteLength(buffer: Buffer, start: number, end: number, head: HeadOffsets): number {
  if (head.contentLength >= 0 || start === end || end - start > 15) return PARSE.badLength;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = buffer[at]! - 48;
    if (digit < 0 || digit > 9) return PARSE.badLength;
    value = value * 10 + digit;
  }
  head.contentLength = value;
  return 0;
}

function noteConnection(buffer: Buffer, start: number, end: number, head: HeadOffsets): void {
  let at = start;
  while (at < end) {
    let stop = at;
    while (stop < end && buffer[stop] !== 44) stop++;
    let first = at;
    let last = stop;
    while (first < last && (buffer[first] === SPACE || buffer[first] === TAB)) first++;
    while (last > first && (buffer[last - 1] === SPACE || buffer[last - 1] === TAB)) last--;
    if (equalsIgnoringCase(buffer, first, last, 'close')) head.close = true;
    else if (equalsIgnoringCase(buffer, first, last, 'keep-alive')) head.keepAlive = true;
    else if (equalsIgnoringCase(buffer, first, last, 'upgrade')) head.wantsUpgrade = true;
    else if (last > first) head.nominates = true;
    at = stop + 1;
  }
}

function finishFields(buffer: Buffer, head: HeadOffsets, transferEncodings: number, request: boolean): number {
  if (transferEncodings > 1) return PARSE.unknownCoding;
  if (head.chunked && head.contentLength >= 0) return PARSE.lengthAndChunked;
  // HTTP/1.0 knows no chunked coding; a message that uses it anyway may be read differently by others.
  if (head.chunked && head.minor === 0) return request ? PARSE.unknownCoding : PARSE.malformed;
  if (head.upgradeRow >= 0 && !head.wantsUpgrade) head.drop(head.upgradeRow);
  if (head.nominates) dropNominated(buffer, head);
  return PARSE.complete;
}

/** Drops the headers that `connection` names. Framing, host and pseudo names cannot be dropped that way. */
function dropNominated(buffer: Buffer, head: HeadOffsets): void {
  for (let row = 0; row < head.count; row++) {
    const offset = row << 2;
    const nameStart = head.table[offset]!;
    if (buffer[nameStart] !== 99 || !isConnectionLine(buffer, nameStart)) continue;
    const names = buffer.toString('latin1', head.table[offset + 2], head.table[offset + 3]).toLowerCase().split(',');
    for (const raw of names) {
      const name = raw.trim();
      if (name === '' || name === 'host' || name === 'content-length' || name === 'upgrade') continue;
      for (let other = 0; other < head.count; other++) {
        if (equalsIgnoringCase(buffer, head.table[other << 2]!, head.table[(other << 2) + 1]!, name)) head.drop(other);
      }
    }
  }
}

function isConnectionLine(buffer: Buffer, start: number): boolean {
  return buffer[start + 10] === COLON && equalsIgnoringCase(buffer, start, start + 10, 'connection');
}
