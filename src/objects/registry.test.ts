import { expect, test } from 'vitest';
import { ISTIO_KINDS } from './istio/kinds.ts';
import { findKind, findResource, KINDS } from './registry.ts';
import * as types from './resource-types.ts';
import type { Schema } from './schema/schema.ts';
import { validateSchema } from './schema/validate.ts';

/** What `kubectl get` shows of Istio's kinds, and how they are served: kind | versions, stored one in parentheses | short names | columns after NAME. */
const ISTIO_TABLE = `
TrafficExtension | (v1alpha1) | | Age .metadata.creationTimestamp
WasmPlugin | (v1alpha1) | | Age .metadata.creationTimestamp
DestinationRule | (v1) v1alpha3 v1beta1 | dr | Host .spec.host; Age .metadata.creationTimestamp
EnvoyFilter | (v1alpha3) | |
Gateway | (v1) v1alpha3 v1beta1 | gw |
ProxyConfig | (v1beta1) | |
ServiceEntry | (v1) v1alpha3 v1beta1 | se | Hosts .spec.hosts; Location .spec.location; Resolution .spec.resolution; Age .metadata.creationTimestamp
Sidecar | (v1) v1alpha3 v1beta1 | |
VirtualService | (v1) v1alpha3 v1beta1 | vs | Gateways .spec.gateways; Hosts .spec.hosts; Age .metadata.creationTimestamp
WorkloadEntry | (v1) v1alpha3 v1beta1 | we | Age .metadata.creationTimestamp; Address .spec.address
WorkloadGroup | (v1) v1alpha3 v1beta1 | wg | Age .metadata.creationTimestamp
AuthorizationPolicy | (v1) v1beta1 | ap | Action .spec.action; Age .metadata.creationTimestamp
PeerAuthentication | (v1) v1beta1 | pa | Mode .spec.mtls.mode; Age .metadata.creationTimestamp
RequestAuthentication | (v1) v1beta1 | ra |
Telemetry | v1 (v1alpha1) | telemetry | Age .metadata.creationTimestamp`;

test('Istio kinds are served as Istio serves them', () => {
  const rows = ISTIO_KINDS.map(({ kind, versions, storageVersion, shortNames, columns }) => {
    const served = [...versions].sort().map((version) => (version === storageVersion ? `(${version})` : version)).join(' ');
    return [kind, served, shortNames.join(' '), columns.map(({ name, jsonPath }) => `${name} ${jsonPath}`).join('; ')].join('|');
  });
  const expected = ISTIO_TABLE.trim().split('\n').map((row) => row.split('|').map((cell) => cell.trim()).join('|'));
  expect(rows.sort()).toEqual(expected.sort());
  for (const { categories, custom, group } of ISTIO_KINDS) {
    expect(custom).toBe(true);
    expect(categories).toEqual(['istio-io', `${group.split('.')[0]}-istio-io`]);
  }
});

test('kinds are found by name and by resource, in a version that is served', () => {
  for (const type of Object.values(types)) {
    if (type.kind === 'IstioOperator') continue; // a file format, not served
    const info = findKind(type.group, type.kind);
    expect(info, type.kind).toBeDefined();
    expect(findResource(type.group, type.plural)).toBe(info);
    expect(info!.versions).toContain(type.version);
    expect(info!.namespaced).toBe(type.namespaced);
  }
  expect(findKind('', 'VirtualService')).toBeUndefined();
  expect(new Set(KINDS.map(({ group, plural }) => `${group}/${plural}`)).size).toBe(KINDS.length);
});

function* everySchema(schema: Schema, path: string): Generator<readonly [string, Schema]> {
  yield [path, schema];
  for (const [name, property] of Object.entries(schema.properties ?? {})) yield* everySchema(property, `${path}.${name}`);
  if (typeof schema.additionalProperties === 'object') yield* everySchema(schema.additionalProperties, `${path}.*`);
  if (schema.items) yield* everySchema(schema.items, `${path}[]`);
}

test('schemas are structural: keys of lists exist, defaults are valid', () => {
  for (const info of KINDS) {
    for (const [path, schema] of everySchema(info.schema, info.kind)) {
      for (const key of schema['x-kubernetes-list-map-keys'] ?? []) {
        const preserved = schema.items?.['x-kubernetes-preserve-unknown-fields'] === true;
        expect(preserved || schema.items?.properties?.[key] !== undefined, `${path} ${key}`).toBe(true);
      }
      for (const name of schema.required ?? []) expect(schema.properties?.[name], `${path}.${name}`).toBeDefined();
      if (schema.default !== undefined) expect(validateSchema(schema, schema.default), path).toEqual([]);
      if (schema['x-kubernetes-list-type'] !== undefined) expect(schema.type, path).toBe('array');
    }
  }
});

const at = (kind: string, path: string): Schema => {
  let schema: Schema = findKind(kind === 'Deployment' ? 'apps' : '', kind)!.schema;
  for (const name of path.split('.')) schema = schema.properties?.[name] ?? schema.items!.properties![name]!;
  return schema;
};

test.each<[string, string, string, readonly string[]]>([
  ['Pod', 'spec.containers', 'name', ['name']],
  ['Pod', 'spec.containers.env', 'name', ['name']],
  ['Pod', 'spec.containers.ports', 'containerPort', ['containerPort', 'protocol']],
  ['Pod', 'spec.containers.volumeMounts', 'mountPath', ['mountPath']],
  ['Pod', 'spec.volumes', 'name', ['name']],
  ['Deployment', 'spec.template.spec.initContainers', 'name', ['name']],
  ['Service', 'spec.ports', 'port', ['port', 'protocol']],
  ['Deployment', 'metadata.ownerReferences', 'uid', ['uid']],
  ['Pod', 'status.conditions', 'type', ['type']],
])('%s %s merges by %s', (kind, path, mergeKey, mapKeys) => {
  const schema = at(kind, path);
  expect(schema['x-kubernetes-patch-merge-key']).toBe(mergeKey);
  expect(schema['x-kubernetes-patch-strategy']).toMatch(/^merge/);
  expect(schema['x-kubernetes-list-map-keys']).toEqual(mapKeys);
});
