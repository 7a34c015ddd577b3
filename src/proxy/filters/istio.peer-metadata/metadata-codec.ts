import { fromBinary, fromJson, toBinary } from '@bufbuild/protobuf';
import type { JsonObject } from '@bufbuild/protobuf';
import { StructSchema } from '@bufbuild/protobuf/wkt';
import type { Struct } from '@bufbuild/protobuf/wkt';
import type { PeerMetadata } from '../../../telemetry/traffic-record.ts';
import type { ProxyNode } from '../../config/runtime.ts';

/** Our own metadata as it travels in headers: base64 of {@link metadataStruct}. */
export function encodeMetadata(node: ProxyNode): string {
  return Buffer.from(toBinary(StructSchema, metadataStruct(node))).toString('base64');
}

/** Our own metadata with Istio's field names. @see Istio metadata_object.cc */
export function metadataStruct(node: ProxyNode): Struct {
  const { workload, metadata } = node;
  const labels: Record<string, string> = {};
  const put = (name: string, value: string): void => {
    if (value !== '') labels[name] = value;
  };
  put('app', workload.app);
  put('version', workload.version);
  put('service.istio.io/canonical-name', workload.canonicalService);
  put('service.istio.io/canonical-revision', workload.canonicalRevision);
  const fields: JsonObject = { CLUSTER_ID: workload.cluster, LABELS: labels, NAMESPACE: workload.namespace, WORKLOAD_NAME: workload.workload };
  for (const name of ['NAME', 'OWNER']) {
    const value = metadata[name];
    if (typeof value === 'string') fields[name] = value;
  }
  return fromJson(StructSchema, fields);
}

/** How many decoded peers are remembered. A workload has few callers; the bound is against made-up ones. */
const MAX_KNOWN = 500;
const known = new Map<string, PeerMetadata | undefined>();

/** The last answers: comparing a header with them costs less than the hash of its hundreds of bytes. */
const recent: { readonly text: string; readonly peer: PeerMetadata | undefined }[] = [];
const MAX_RECENT = 4;

/** A peer's metadata, or undefined when the header is not what it should be. */
export function decodeMetadata(text: string): PeerMetadata | undefined {
  for (const last of recent) if (last.text === text) return last.peer;
  const peer = decodeKnown(text);
  if (recent.length >= MAX_RECENT) recent.shift();
  recent.push({ text, peer });
  return peer;
}

function decodeKnown(text: string): PeerMetadata | undefined {
  if (known.has(text)) return known.get(text);
  const decoded = decodeNow(text);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(text, decoded);
  return decoded;
}

function decodeNow(text: string): PeerMetadata | undefined {
  try {
    return metadataOf(fromBinary(StructSchema, Buffer.from(text, 'base64')));
  } catch {
    return undefined;
  }
}

/** A peer's metadata out of its Struct; what is missing or of another type is ''. */
export function metadataOf(struct: Struct): PeerMetadata {
  const labelsValue = Object.hasOwn(struct.fields, 'LABELS') ? struct.fields['LABELS'] : undefined;
  const labels = labelsValue?.kind.case === 'structValue' ? labelsValue.kind.value : undefined;
  const workload = stringOf(struct, 'WORKLOAD_NAME');
  const app = stringOf(labels, 'app');
  return {
    workload,
    namespace: stringOf(struct, 'NAMESPACE'),
    app,
    version: stringOf(labels, 'version'),
    canonicalService: stringOf(labels, 'service.istio.io/canonical-name') || workload,
    canonicalRevision: stringOf(labels, 'service.istio.io/canonical-revision') || 'latest',
    cluster: stringOf(struct, 'CLUSTER_ID'),
  };
}

function stringOf(struct: Struct | undefined, name: string): string {
  const value = struct !== undefined && Object.hasOwn(struct.fields, name) ? struct.fields[name] : undefined;
  return value?.kind.case === 'stringValue' ? value.kind.value : '';
}
