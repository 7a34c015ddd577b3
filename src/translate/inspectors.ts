import { create } from '@bufbuild/protobuf';
import { ListenerFilterChainMatchPredicateSchema, ListenerFilterSchema, type ListenerFilter } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { HttpInspectorSchema } from '../xds/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.ts';
import { OriginalDstSchema } from '../xds/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.ts';
import { ProxyProtocolSchema } from '../xds/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.ts';
import { TlsInspectorSchema } from '../xds/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts';
import { pack } from './proto.ts';

export function originalDst(): ListenerFilter {
  return create(ListenerFilterSchema, { name: 'envoy.filters.listener.original_dst', configType: { case: 'typedConfig', value: pack(OriginalDstSchema) } });
}

/** Reads the ClientHello. `disabledPorts`: destination ports where nothing needs it (server-first protocols would hang). */
export function tlsInspector(disabledPorts: readonly number[] = []): ListenerFilter {
  return withDisabled(create(ListenerFilterSchema, { name: 'envoy.filters.listener.tls_inspector', configType: { case: 'typedConfig', value: pack(TlsInspectorSchema) } }), disabledPorts);
}

/** Recognises HTTP by its first bytes. */
export function httpInspector(disabledPorts: readonly number[] = []): ListenerFilter {
  return withDisabled(create(ListenerFilterSchema, { name: 'envoy.filters.listener.http_inspector', configType: { case: 'typedConfig', value: pack(HttpInspectorSchema) } }), disabledPorts);
}

function withDisabled(filter: ListenerFilter, ports: readonly number[]): ListenerFilter {
  const sorted = [...new Set(ports)].sort((a, b) => a - b);
  const rules = sorted.map((port) => create(ListenerFilterChainMatchPredicateSchema, { rule: { case: 'destinationPortRange', value: { start: port, end: port + 1 } } }));
  const first = rules[0];
  if (!first) return filter;
  filter.filterDisabled = rules.length === 1 ? first : create(ListenerFilterChainMatchPredicateSchema, { rule: { case: 'orMatch', value: { rules } } });
  return filter;
}

/** The first bytes name the real client. */
export function proxyProtocol(): ListenerFilter {
  return create(ListenerFilterSchema, { name: 'envoy.filters.listener.proxy_protocol', configType: { case: 'typedConfig', value: pack(ProxyProtocolSchema) } });
}
