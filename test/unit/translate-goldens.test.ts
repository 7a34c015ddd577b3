/** Goldens: objects and one proxy in, the focused part of its xDS out. Update with UPDATE_GOLDENS=1. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonValue } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseProxyNode } from '../../src/model/proxy-node.ts';
import { viewOf, type ProxyView } from '../../src/model/view.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { resolve } from '../../src/resolve/resolve.ts';
import { toEnvoyJson } from '../../src/xds/registry.ts';
import { ClusterSchema } from '../../src/xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from '../../src/xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema } from '../../src/xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteConfigurationSchema } from '../../src/xds/gen/envoy/config/route/v3/route_pb.ts';
import { SecretSchema } from '../../src/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import { NameTableSchema } from '../../src/xds/gen/istio/nds/nds_pb.ts';
import { translateClusters } from '../../src/translate/clusters.ts';
import { translateEndpoints } from '../../src/translate/endpoints.ts';
import { translateListeners } from '../../src/translate/listeners.ts';
import { translateNameTable } from '../../src/translate/name-table.ts';
import { translateRoutes } from '../../src/translate/routes.ts';
import { translateSecrets } from '../../src/translate/secrets.ts';

const folder = join(import.meta.dirname, '../../src/translate/testdata');
const MAX_LINES = 200;

/** First document of a case. `focus` lists resource names per type; `name#path` keeps only a part of it (`*` = every element). */
interface Header {
  readonly base?: string;
  readonly meshConfig?: unknown;
  readonly proxy: { readonly id: string; readonly metadata?: Record<string, unknown>; readonly extensions?: string[]; readonly locality?: { region: string; zone: string } };
  readonly focus: Readonly<Record<'listeners' | 'routes' | 'clusters' | 'endpoints' | 'secrets' | 'names' | 'issues', readonly string[] | undefined>>;
}

function documents(file: string): unknown[] {
  return parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => document.toJS() as unknown).filter((value) => value !== null);
}

function pick(value: unknown, path: readonly string[]): unknown {
  const [head, ...rest] = path;
  if (head === undefined) return value;
  if (head === '*') return Array.isArray(value) ? value.map((item) => pick(item, rest)) : undefined;
  return pick((value as Record<string, unknown> | undefined)?.[head], rest);
}

function focused(list: readonly { readonly name: string; readonly json: () => JsonValue }[], wanted: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(wanted.map((entry) => {
    const [name = '', path] = entry.split('#');
    const found = list.find((resource) => resource.name === name);
    return [entry, found ? pick(found.json(), path ? path.split('.') : []) : null];
  }));
}

function render(view: ProxyView, header: Header, issues: readonly unknown[]): Record<string, unknown> {
  const plain = (name: string) => name.split('#')[0]!;
  const { focus } = header;
  return {
    ...(focus.listeners && { listeners: focused(translateListeners(view).map((message) => ({ name: message.name, json: () => toEnvoyJson(ListenerSchema, message) })), focus.listeners) }),
    ...(focus.routes && { routes: focused(translateRoutes(view, focus.routes.map(plain)).map((message) => ({ name: message.name, json: () => toEnvoyJson(RouteConfigurationSchema, message) })), focus.routes) }),
    ...(focus.clusters && { clusters: focused(translateClusters(view).map((message) => ({ name: message.name, json: () => toEnvoyJson(ClusterSchema, message) })), focus.clusters) }),
    ...(focus.endpoints && { endpoints: focused(translateEndpoints(view, focus.endpoints.map(plain)).map((message) => ({ name: message.clusterName, json: () => toEnvoyJson(ClusterLoadAssignmentSchema, message) })), focus.endpoints) }),
    ...(focus.secrets && { secrets: focused(translateSecrets(view, focus.secrets.map(plain)).map((message) => ({ name: message.name, json: () => toEnvoyJson(SecretSchema, message) })), focus.secrets) }),
    ...(focus.names && { names: toEnvoyJson(NameTableSchema, translateNameTable(view)) }),
    ...(focus.issues && { issues }),
  };
}

function run(file: string): string {
  const [first, ...rest] = documents(file);
  const header = first as Header;
  const objects = [...(header.base ? documents(header.base) : []), ...rest] as KubeObject[];
  const { snapshot, issues } = resolve({ objects, meshConfig: header.meshConfig });
  const proxy = parseProxyNode(header.proxy);
  if (!proxy) throw new Error(`${file}: the proxy's id cannot be read`);
  return `${JSON.stringify(render(viewOf(snapshot, proxy), header, issues), null, 1)}\n`;
}

describe('goldens', () => {
  const files = readdirSync(folder);
  const cases = files.filter((file) => file.endsWith('.in.yaml'));

  it('has cases and no orphans', () => {
    expect(cases.length).toBeGreaterThan(0);
    expect(files.filter((file) => file.endsWith('.out.json') && !cases.includes(file.replace('.out.json', '.in.yaml')))).toEqual([]);
  });

  for (const file of cases)
    it(file.replace('.in.yaml', ''), () => {
      const actual = run(file);
      const golden = join(folder, file.replace('.in.yaml', '.out.json'));
      expect(actual.split('\n').length, 'narrow the focus').toBeLessThanOrEqual(MAX_LINES);
      if (process.env['UPDATE_GOLDENS']) writeFileSync(golden, actual);
      expect(existsSync(golden), `${golden} is missing; run with UPDATE_GOLDENS=1`).toBe(true);
      expect(JSON.parse(actual)).toEqual(JSON.parse(readFileSync(golden, 'utf8')));
    });
});
