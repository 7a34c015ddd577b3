/**
 * Objects in Kubernetes' protobuf encoding. `kubectl create configmap|secret|namespace|token|…` sends them so; everything else of kubectl is JSON, and
 * every answer may be. Only the messages those commands send are known; anything else is refused by name, never dropped.
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 */
import { setOwn } from '../json.ts';
import { badRequest, unsupportedMediaType } from '../status.ts';
import { MESSAGES, type Field, type FieldType, type Message } from './protobuf-messages.ts';

const MAGIC = Buffer.from('k8s\0', 'latin1');
const ENVELOPE: Message = { 1: ['typeMeta', { 1: ['apiVersion', 'string'], 2: ['kind', 'string'] }], 2: ['raw', 'bytes'], 3: ['contentEncoding', 'string'], 4: ['contentType', 'string'] };

/** Decodes an enveloped object. @throws ApiError 400 for broken bytes, 415 for a message or field that is not known */
export function decodeProtobuf(body: Buffer): Record<string, unknown> {
  if (!body.subarray(0, 4).equals(MAGIC)) throw badRequest('provided data does not appear to be a protobuf message, expected prefix "k8s\\0"');
  const envelope = decodeMessage(body.subarray(4), ENVELOPE, 'Unknown');
  const { apiVersion = '', kind = '' } = (envelope['typeMeta'] ?? {}) as Record<string, string>;
  const name = `${apiVersion}/${kind}`;
  const message = Object.hasOwn(MESSAGES, name) ? MESSAGES[name] : kind === 'DeleteOptions' ? MESSAGES['v1/DeleteOptions'] : undefined;
  if (!message) throw unsupportedMediaType(`${name} is not known in protobuf to this server; send application/json`);
  return { apiVersion, kind, ...decodeMessage(Buffer.from(String(envelope['raw'] ?? ''), 'base64'), message, kind) };
}

interface Reader {
  readonly bytes: Buffer;
  at: number;
}

function varint(reader: Reader): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined) break;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asIntN(64, value);
  }
  throw badRequest('proto: malformed varint');
}

function chunk(reader: Reader): Buffer {
  const length = Number(varint(reader));
  const end = reader.at + length;
  if (length < 0 || end > reader.bytes.length) throw badRequest('proto: unexpected EOF');
  const part = reader.bytes.subarray(reader.at, end);
  reader.at = end;
  return part;
}

function decodeMessage(bytes: Buffer, message: Message, path: string): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const reader: Reader = { bytes, at: 0 };
  while (reader.at < bytes.length) {
    const tag = Number(varint(reader));
    const [number, wire] = [tag >>> 3, tag & 7];
    if (wire !== 0 && wire !== 2) throw badRequest(`proto: wire type ${wire} in ${path}`);
    const value = wire === 0 ? varint(reader) : chunk(reader);
    const field = Object.hasOwn(message, number) ? message[number] : undefined;
    if (field) store(result, field, value, path);
    // Go writes zero values of fields it does not leave out; they say nothing.
    else if (!isZero(value)) throw unsupportedMediaType(`protobuf field ${number} of ${path} is not known to this server; send application/json`);
  }
  return result;
}

/** Zero, an empty text, or a message in which everything is. */
function isZero(value: bigint | Buffer): boolean {
  if (typeof value === 'bigint') return value === 0n;
  if (value.length === 0) return true;
  try {
    return Object.keys(decodeMessage(value, {}, '')).length === 0;
  } catch {
    return false;
  }
}

function store(result: Record<string, unknown>, [name, kind, repeated]: Field, raw: bigint | Buffer, path: string): void {
  if ((kind === 'map' || kind === 'bytesMap' || kind === 'quantityMap') && typeof raw !== 'bigint') {
    const entry = decodeMessage(raw, { 1: ['key', 'string'], 2: ['value', kind === 'map' ? 'string' : kind === 'bytesMap' ? 'bytes' : 'quantity'] }, `${path}.${name}`);
    const map = (result[name] ??= {}) as Record<string, unknown>;
    setOwn(map, String(entry['key'] ?? ''), entry['value'] ?? '');
    return;
  }
  if (kind === 'textsMap' && typeof raw !== 'bigint') {
    const entry = decodeMessage(raw, { 1: ['key', 'string'], 2: ['value', { 1: ['items', 'string', 'list'] }] }, `${path}.${name}`);
    setOwn((result[name] ??= {}) as Record<string, unknown>, String(entry['key'] ?? ''), (entry['value'] as { items?: unknown[] } | undefined)?.items ?? []);
    return;
  }
  const value = decodeValue(kind, raw, `${path}.${name}`);
  if (repeated) ((result[name] ??= []) as unknown[]).push(value ?? '');
  // An embedded Go struct: its fields are the parent's.
  else if (name === '') Object.assign(result, value);
  else if (value !== undefined) result[name] = value;
}

function parsed(raw: Buffer, path: string): unknown {
  try {
    return JSON.parse(raw.toString('utf8'));
  } catch {
    throw badRequest(`proto: ${path} is no JSON`);
  }
}

function decodeValue(kind: FieldType, raw: bigint | Buffer, path: string): unknown {
  if (typeof raw === 'bigint') {
    if (kind === 'bool' || kind === 'bool!') return raw !== 0n || kind === 'bool!' ? raw !== 0n : undefined;
    if (kind === 'int' || kind === 'int!') return raw !== 0n || kind === 'int!' ? Number(raw) : undefined;
    throw badRequest(`proto: ${path} is no number`);
  }
  switch (kind) {
    case 'string': return raw.length > 0 ? raw.toString('utf8') : undefined;
    case 'bytes': return raw.toString('base64');
    case 'json': return parsed(raw, path);
    case 'time': {
      const { seconds } = decodeMessage(raw, { 1: ['seconds', 'int'], 2: ['nanos', 'int'] }, path);
      return typeof seconds === 'number' && seconds > 0 ? `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z` : undefined;
    }
    case 'quantity': return decodeMessage(raw, { 1: ['text', 'string'] }, path)['text'];
    case 'intOrString': {
      const { type, int, text } = decodeMessage(raw, { 1: ['type', 'int'], 2: ['int', 'int'], 3: ['text', 'string'] }, path);
      return type === 1 ? text : (int ?? 0);
    }
    case 'int': case 'int!': case 'bool': case 'bool!': case 'map': case 'bytesMap': case 'textsMap': case 'quantityMap': throw badRequest(`proto: ${path} is no text`);
    default: {
      const inner = decodeMessage(raw, kind, path);
      return Object.keys(inner).length > 0 ? inner : undefined;
    }
  }
}
