/**
 * Every object that is printed in the documents this mesh was asked for. They are not part of the repository: `$MELTEMI_SEEDS` or `../shared/seeds`.
 * `examples.test.ts` has each of their ways to be wrong in our own words.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crdOf } from '../../src/kube/server/api/crd.ts';
import { startTestServer, type TestServer } from '../../src/kube/server/testing.ts';
import { KINDS } from '../../src/objects/registry.ts';
import { CUSTOM_RESOURCE_DEFINITION } from '../../src/objects/resource-types.ts';
import { extractBlocks } from './extract.ts';
import { judgeText, meshProblems, storeObject } from './judge.ts';

const FOLDER = process.env['MELTEMI_SEEDS'] ?? join(process.cwd(), '../shared/seeds');
const files = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith('.txt')).sort() : [];
if (files.length === 0) process.stderr.write(`skipped: objects of the seed documents, because there are none in ${FOLDER} (MELTEMI_SEEDS names another folder)\n`);
const blocks = files.flatMap((file) => extractBlocks(readFileSync(join(FOLDER, file), 'utf8')).map(({ line, text }) => ({ name: `${file.slice(0, 3)}:${line}`, text })));

/** Kinds of other meshes. */
const FOREIGN = /^apiVersion: linkerd\.io\//m;

describe.skipIf(files.length === 0)('objects of the seed documents', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
    for (const info of KINDS.filter(({ custom }) => custom)) await server.client.apply(CUSTOM_RESOURCE_DEFINITION, crdOf(info), { fieldManager: 'install' });
  });
  afterAll(() => server.close());

  test('are found', () => expect(blocks.length).toBeGreaterThan(70));

  test.each(blocks)('$name loads, or is refused with what was meant, and that works', async ({ text }) => {
    const { outcome, objects, issues } = judgeText(text);
    if (FOREIGN.test(text)) return expect(outcome).toBe('foreign');
    expect(outcome, issues.map(({ message }) => message).join()).toMatch(/^(loads|repaired)$/);
    for (const object of objects) expect(await storeObject(server, object)).toBeUndefined();
    return expect(meshProblems(objects.filter(({ kind }) => kind !== 'IstioOperator'))).toEqual([]);
  });
});
