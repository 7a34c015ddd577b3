/** Real Envoy takes everything we make: `envoy --mode validate` over a mesh that uses nearly every field, for both kinds of proxy. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { findEnvoy } from '../../src/agent/envoy/find-envoy.ts';
import { parseProxyNode } from '../../src/model/proxy-node.ts';
import { viewOf } from '../../src/model/view.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { resolve } from '../../src/resolve/resolve.ts';
import { translateClusters } from '../../src/translate/clusters.ts';
import { translateEndpoints } from '../../src/translate/endpoints.ts';
import { routeNamesIn, translateListeners } from '../../src/translate/listeners.ts';
import { translateRoutes } from '../../src/translate/routes.ts';
import { encodeResource, type ResourceMessage } from '../../src/xds/codec.ts';
import { resourceToJson } from '../../src/xds/registry.ts';

const folder = join(import.meta.dirname, '../../src/translate/testdata');
const T = 'type.googleapis.com/';

const envoy = findEnvoy();
if (!envoy) process.stderr.write('skipped: 2 cases with real Envoy, because there is no Envoy (set ENVOY_BIN)\n');

function objects(): KubeObject[] {
  return ['bookinfo.base.yaml', 'everything.yaml'].flatMap((file) => parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => document.toJS() as KubeObject));
}

const json = (message: ResourceMessage): JsonObject => {
  const { '@type': _, ...rest } = resourceToJson(encodeResource(message)) as JsonObject;
  return rest;
};

/** Routes and load assignments have no static place: each table gets a connection manager of its own, each assignment a cluster. */
function bootstrap(id: string): JsonObject {
  const { snapshot } = resolve({ objects: objects(), meshConfig: { accessLogFile: '/dev/null' } });
  const view = viewOf(snapshot, parseProxyNode({ id, metadata: {}, extensions: ['envoy.filters.http.router'] })!);
  const listeners = translateListeners(view);
  const clusters = translateClusters(view);
  const filter = (name: string, type: string) => ({ name, typed_config: { '@type': `${T}${type}` } });
  const tables = translateRoutes(view, routeNamesIn(listeners)).map((table, index): JsonObject => ({
    name: `table-${index}`, address: { socket_address: { address: '127.0.0.1', port_value: 20_001 + index } },
    filter_chains: [{ filters: [{ name: 'hcm', typed_config: {
      '@type': `${T}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`, stat_prefix: 'x', route_config: json(table),
      http_filters: [filter('envoy.filters.http.fault', 'envoy.extensions.filters.http.fault.v3.HTTPFault'), filter('envoy.filters.http.cors', 'envoy.extensions.filters.http.cors.v3.Cors'), filter('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router')],
    } }] }],
  }));
  const assignments = translateEndpoints(view, clusters.filter((cluster) => cluster.edsClusterConfig).map((cluster) => cluster.name)).map((assignment): JsonObject => ({
    name: `eds-${assignment.clusterName}`, type: 'STATIC', connect_timeout: '1s', load_assignment: json(assignment),
  }));
  const grpc = (name: string): JsonObject => ({
    name, type: 'STATIC', load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: '/nonexistent' } } } }] }] },
    typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': `${T}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`, explicit_http_config: { http2_protocol_options: {} } } },
  });
  return {
    node: { id: 'x', cluster: 'x' },
    dynamic_resources: { ads_config: { api_type: 'GRPC', transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }] } },
    static_resources: { clusters: [...clusters.map(json), ...assignments, grpc('xds-grpc'), grpc('sds-grpc')], listeners: [...listeners.map(json), ...tables] },
  };
}

describe.skipIf(!envoy)('real Envoy', () => {
  it.each([
    ['sidecar', 'sidecar~10.244.0.11~productpage-v1-5f4c8-abcde.default~default.svc.cluster.local'], ['gateway', 'router~10.244.0.14~istio-ingressgateway-1.istio-system~istio-system.svc.cluster.local'],
  ])('takes everything a %s may get', async (_, id) => {
    const directory = mkdtempSync(join(tmpdir(), 'envoy-accepts-'));
    try {
      const config = bootstrap(id);
      expect((config['static_resources'] as { listeners: unknown[] }).listeners.length).toBeGreaterThan(4);
      writeFileSync(join(directory, 'envoy.json'), JSON.stringify(config));
      const result = await promisify(execFile)(envoy!, ['--mode', 'validate', '-c', join(directory, 'envoy.json'), '-l', 'error']).catch((error: unknown) => error as { stdout: string; stderr: string });
      expect(`${result.stdout}${result.stderr}`).toContain('OK');
    } finally {
      rmSync(directory, { recursive: true });
    }
  }, 60_000);
});
