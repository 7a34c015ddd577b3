import { fromJson, toJson, type DescMessage, type JsonValue, type Message, type MessageShape } from '@bufbuild/protobuf';
import { messageOf } from '../../base/errors.ts';
import type { ApplyTo, EnvoyPatch } from '../../model/envoy-filter.ts';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { TypedExtensionConfigSchema } from '../../xds/gen/envoy/config/core/v3/extension_pb.ts';
import { FilterChainSchema, FilterSchema, ListenerFilterSchema } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteSchema, VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.ts';
import { HttpFilterSchema } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { typeRegistry } from '../../xds/type-registry.ts';

/** The message a patch's value is, by what it applies to. */
const SCHEMAS = {
  LISTENER: ListenerSchema, FILTER_CHAIN: FilterChainSchema, NETWORK_FILTER: FilterSchema, HTTP_FILTER: HttpFilterSchema, LISTENER_FILTER: ListenerFilterSchema,
  ROUTE_CONFIGURATION: RouteConfigurationSchema, VIRTUAL_HOST: VirtualHostSchema, HTTP_ROUTE: RouteSchema, CLUSTER: ClusterSchema, EXTENSION_CONFIG: TypedExtensionConfigSchema,
} as const satisfies Partial<Record<ApplyTo, DescMessage>>;

export type Patchable = keyof typeof SCHEMAS;
export type PatchValue<Kind extends Patchable> = MessageShape<(typeof SCHEMAS)[Kind]>;

type Parsed = { readonly message: Message } | { readonly problem: string };

const parsed = new WeakMap<EnvoyPatch, Parsed>();

/** The value of a patch as its message; undefined when it is none (see {@link patchProblem}). Fields Envoy does not know are left out, as Istio does. */
export function valueOf<Kind extends Patchable>(patch: EnvoyPatch, kind: Kind): PatchValue<Kind> | undefined {
  if (patch.applyTo !== kind) return undefined;
  const result = parse(patch);
  return 'message' in result ? (result.message as PatchValue<Kind>) : undefined;
}

/** What is wrong with a patch's value whatever it meets; undefined: nothing. */
export function patchProblem(patch: EnvoyPatch): string | undefined {
  if (patch.applyTo === 'BOOTSTRAP') return 'BOOTSTRAP patches are not supported: the bootstrap is made beside the proxy';
  if (patch.operation === 'REMOVE' && patch.value === undefined) return undefined;
  const result = parse(patch);
  return 'problem' in result ? result.problem : undefined;
}

/** Fields of a patch's value that no message has: they are left out. */
export function unknownFieldProblem(patch: EnvoyPatch): string | undefined {
  if (patchProblem(patch) !== undefined || patch.value === undefined || !(patch.applyTo in SCHEMAS)) return undefined;
  try {
    fromJson(SCHEMAS[patch.applyTo as Patchable] as DescMessage, patch.value as JsonValue, { registry: typeRegistry });
    return undefined;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

function parse(patch: EnvoyPatch): Parsed {
  let result = parsed.get(patch);
  if (!result) parsed.set(patch, (result = read(patch)));
  return result;
}

function read(patch: EnvoyPatch): Parsed {
  if (!(patch.applyTo in SCHEMAS)) return { problem: `${patch.applyTo} cannot be patched` };
  try {
    return { message: fromJson(SCHEMAS[patch.applyTo as Patchable] as DescMessage, (patch.value ?? {}) as JsonValue, { registry: typeRegistry, ignoreUnknownFields: true }) };
  } catch (thrown) {
    return { problem: messageOf(thrown) };
  }
}

/** Plain JSON of a message, for reports and tests. */
export function jsonOf(schema: DescMessage, message: Message): JsonValue {
  return toJson(schema, message, { registry: typeRegistry, useProtoFieldName: true });
}
