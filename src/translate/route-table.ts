/** Route tables put together from virtual hosts that are encoded already: what did not change is not made again. */
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.ts';
import type { VirtualHostPlan } from './routes.ts';
import { routeConfiguration, unclaimedDomains } from './virtual-host.ts';

/** A plan with the domains that the virtual hosts before it left. */
export interface PlacedVirtualHost {
  readonly plan: VirtualHostPlan;
  readonly domains: readonly string[];
}

/** The virtual hosts that go into a table: each domain belongs to the first that claims it, and one without domains is left out. */
export function placedVirtualHosts(plans: readonly VirtualHostPlan[]): readonly PlacedVirtualHost[] {
  const taken = new Set<string>();
  return plans.flatMap((plan) => {
    const domains = unclaimedDomains(plan.domains, taken);
    return domains.length > 0 ? [{ plan, domains }] : [];
  });
}

const VIRTUAL_HOSTS_FIELD = RouteConfigurationSchema.field.virtualHosts.number;

/** Byte for byte what encoding the whole table would give. */
export function assembleRouteTable(name: string, virtualHosts: readonly Uint8Array[]): Uint8Array {
  const writer = new BinaryWriter().raw(toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, { name })));
  for (const host of virtualHosts) writer.tag(VIRTUAL_HOSTS_FIELD, WireType.LengthDelimited).bytes(host);
  return writer.raw(toBinary(RouteConfigurationSchema, routeConfiguration('', []))).finish();
}
