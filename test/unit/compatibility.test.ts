/** docs/compatibility.md says nothing that is not there: named cases and tests exist, what works in part says what happens instead, and every field of Istio's traffic kinds is named. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KINDS } from '../../src/objects/registry.ts';
import type { Schema } from '../../src/objects/schema/schema.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/compatibility.md'), 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| ')).map((line) => line.slice(2).split(/(?<!\\)\|/).map((cell) => cell.trim()));

const files = (folder: string): string[] => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
const tests = new Set([...files('src'), ...files('test')].filter((name) => name.endsWith('.test.ts')).map((name) => name.split('/').pop()));

/** Names of all fields of a schema. */
function fieldsOf(schema: Schema, found = new Set<string>()): ReadonlySet<string> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    found.add(name);
    fieldsOf(field, found);
  }
  if (schema.items) fieldsOf(schema.items, found);
  return found;
}

describe('docs/compatibility.md', () => {
  it('names behaviour cases that exist', () => {
    const named = [...page.matchAll(/B:([a-z0-9-]+\/[a-z0-9-]+)/g)].map(([, name]) => name!).filter((name) => name !== 'area/file');
    expect(named.length).toBeGreaterThan(50);
    expect([...new Set(named)].filter((name) => !existsSync(join(root, 'test/behaviour/cases', `${name}.yaml`)))).toEqual([]);
  });
  it('names tests that exist', () => {
    const named = [...page.matchAll(/`(?:[\w/.-]+\/)?([\w.-]+\.test\.ts)`/g)].map(([, name]) => name!);
    expect([...new Set(named)].filter((name) => !tests.has(name))).toEqual([]);
  });
  it('says what happens instead where something works in part or not at all', () => {
    expect(rows.filter((cells) => (cells[1] === 'partly' || cells[1] === 'no') && (cells[2] ?? '').length < 10).map((cells) => cells[0])).toEqual([]);
  });
  it.each(['VirtualService', 'DestinationRule', 'Gateway', 'ServiceEntry', 'Sidecar', 'WorkloadEntry', 'WorkloadGroup', 'ProxyConfig', 'EnvoyFilter'])('names every field of %s', (kind) => {
    const info = KINDS.find((each) => each.kind === kind && each.group.endsWith('istio.io'));
    const spec = info?.schema.properties?.['spec'];
    expect(spec).toBeDefined();
    const words = new Set(page.match(/[A-Za-z_0-9]+/g));
    expect([...fieldsOf(spec!)].filter((name) => !words.has(name))).toEqual([]);
  });
});
