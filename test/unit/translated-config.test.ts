/** Our proxy takes everything our control plane makes: each golden's mesh, as sidecar and as gateway, without a NACK. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../../src/objects/meta.ts';
import { resolve } from '../../src/resolve/resolve.ts';
import { proxyNacks } from './proxy-nacks.ts';

const folder = join(import.meta.dirname, '../../src/translate/testdata');

function read(file: string): unknown[] {
  return parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => document.toJS() as unknown).filter((value) => value !== null);
}

interface Header {
  readonly proxy: { readonly id: string; readonly metadata: Record<string, unknown> };
  readonly base?: string;
  readonly meshConfig?: unknown;
}

function nacksOf(file: string): { readonly nacks: readonly string[]; readonly listeners: number } {
  const [header, ...rest] = read(file) as [Header, ...KubeObject[]];
  return nacksOfMesh(header, rest);
}

function nacksOfMesh(header: Header, rest: readonly KubeObject[]): { readonly nacks: readonly string[]; readonly listeners: number } {
  const { snapshot } = resolve({ objects: [...(header.base ? (read(header.base) as KubeObject[]) : []), ...rest], meshConfig: header.meshConfig });
  return proxyNacks(snapshot, header.proxy);
}

describe('our proxy and our control plane', () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.in.yaml')))
    it(`agree on ${file.replace('.in.yaml', '')}`, () => {
      const { nacks, listeners } = nacksOf(file);
      expect(nacks).toEqual([]);
      expect(listeners).toBeGreaterThan(0);
    });
  it.each([
    ['sidecar', 'sidecar~10.244.0.11~productpage-v1-5f4c8-abcde.default~default.svc.cluster.local', 'default'], ['gateway', 'router~10.244.0.14~istio-ingressgateway-1.istio-system~istio-system.svc.cluster.local', 'istio-system'],
  ])('agree on everything a %s may get', (_, id, namespace) => {
    const { nacks } = nacksOfMesh({ proxy: { id, metadata: { NAMESPACE: namespace } }, base: 'bookinfo.base.yaml' }, read('everything.yaml') as KubeObject[]);
    expect(nacks).toEqual([]);
  });
});
