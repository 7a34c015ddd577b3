import { fromBinary } from '@bufbuild/protobuf';
import type { HeaderMutation } from '../../../xds/gen/envoy/config/common/mutation_rules/v3/mutation_rules_pb.ts';
import { HeaderMutationPerRouteSchema, HeaderMutationSchema } from '../../../xds/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.ts';
import { compileHeaderMutations } from '../../route/header-mutations.ts';
import type { HeaderMutations } from '../../route/route-table.ts';

/** Changes in the order in which they are made. */
export interface HeaderMutationConfig {
  readonly request: readonly HeaderMutations[];
  readonly response: readonly HeaderMutations[];
}

export const PER_ROUTE_TYPE_URL = 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute';

/** Reads the filter's config or a route's. @throws Error for a header that may not be changed. */
export function parseHeaderMutation(typeUrl: string, bytes: Uint8Array): HeaderMutationConfig {
  const { mutations } = typeUrl === PER_ROUTE_TYPE_URL ? fromBinary(HeaderMutationPerRouteSchema, bytes) : fromBinary(HeaderMutationSchema, bytes);
  return { request: compile(mutations?.requestMutations ?? []), response: compile(mutations?.responseMutations ?? []) };
}

function compile(mutations: readonly HeaderMutation[]): readonly HeaderMutations[] {
  return mutations.flatMap(({ action }) => {
    if (action.case === 'remove') return compileHeaderMutations([], [action.value]) ?? [];
    if (action.case === 'append') return compileHeaderMutations([action.value], []) ?? [];
    throw new Error('header_mutation: a mutation needs remove or append');
  });
}
