/** The examples of `examples.md`, in our own words: every way in which a pasted object goes wrong. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { crdOf } from '../../src/kube/server/api/crd.ts';
import { startTestServer, type TestServer } from '../../src/kube/server/testing.ts';
import { validateIstioObject } from '../../src/objects/istio/validate.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { KINDS } from '../../src/objects/registry.ts';
import { CUSTOM_RESOURCE_DEFINITION } from '../../src/objects/resource-types.ts';
import { extractBlocks } from './extract.ts';
import { judgeText, meshProblems, storeObject } from './judge.ts';

const text = readFileSync(join(import.meta.dirname, 'examples.md'), 'utf8');
const examples = text.split(/^## /m).slice(1).map((section) => {
  const blocks = [...section.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)];
  return { name: section.split('\n')[0]!, printed: blocks.filter(([, language]) => language === 'text').map(([, , body]) => body!), meant: blocks.find(([, language]) => language === 'yaml')?.[2] };
});

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  for (const info of KINDS.filter(({ custom }) => custom)) await server.client.apply(CUSTOM_RESOURCE_DEFINITION, crdOf(info), { fieldManager: 'install' });
});
afterAll(() => server.close());

describe('pasted objects', () => {
  test.each(examples)('$name', async ({ printed, meant }) => {
    const verdicts = printed.map(judgeText);
    for (const { outcome } of verdicts) expect(outcome).toBe(meant === undefined ? 'loads' : 'repaired');
    const objects = verdicts.flatMap((verdict) => verdict.objects);
    if (meant !== undefined) expect(objects).toEqual([parse(meant)]);
    for (const object of objects) expect(await storeObject(server, object)).toBeUndefined();
    expect(meshProblems(objects.filter(({ kind }) => kind !== 'IstioOperator'))).toEqual([]);
  });
});

describe('objects without a correction', () => {
  test.each([
    ['a field nobody knows', 'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a], colour: blue}]}'],
    ['a field nobody knows, after a map that would take any', 'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n  host: a\n  subsets:\n  - name: b\n    labels:\n      version: v1\n  colour: blue\n'],
    ['no YAML, and nothing to see in it', 'apiVersion: networking.istio.io/v1\nkind: Gateway\n  metadata\nfoo: bar\n baz: {]'],
    ['a mistake that is none of nesting', 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a], http: [{route: [{destination: {host: a}}], timeout: fast}]}'],
  ])('%s', (_, printed) => {
    const { outcome, issues } = judgeText(printed);
    expect(outcome).toBe('refused');
    expect(issues.length).toBeGreaterThan(0);
  });
  test('a kind of somebody else is left alone', () => expect(judgeText('apiVersion: example.com/v1\nkind: Gateway\nmetadata: {name: a}\nspec: {colour: blue}').outcome).toBe('foreign'));
  test('the lines of a file are named', () => {
    const { issues } = judgeText('# a file\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 80\nselector: {app: a}\n');
    expect(issues[0]).toMatchObject({ code: 'MLT0015', object: { kind: 'Service', name: 'a', origin: 'text:3' } });
    expect(issues[0]!.fix).toContain('# line 9: "selector" belongs to spec.selector');
  });
});

describe('documents of slides', () => {
  const object = 'kind: Service\nmetadata:\n  name: a';
  test.each([
    ['fenced', `words\n\`\`\`\n${object}\n\`\`\``, 3],
    ['a fence for each line', object.split('\n').map((line) => `\`\`\`\n${line}\n\`\`\`\n`).join('\n'), 2],
    ['without fences', `words\n\napiVersion: v1\n\n**kind:** Service\n\nmetadata:\n\nname: a\n\nMore words here\n`, 3],
    ['inside a command', '```\ncat <<EOF\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nEOF\n)\n```', 3],
  ])('%s', (_, document, line) => {
    const blocks = extractBlocks(document);
    expect(blocks.map((block) => block.line)).toEqual([line]);
    expect(blocks[0]!.text).not.toMatch(/words|EOF/);
  });
  test('two objects of one fence are two', () => {
    expect(extractBlocks('```\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n\nkind: Service\napiVersion: v1\nmetadata: {name: b}\n```').length).toBeGreaterThan(1);
  });
});

test('what servers and tools wrote is not shown', () => {
  const written = { name: 'a', labels: { x: 'y' } };
  const metadata = { ...written, uid: '1', generation: 2, managedFields: [{ manager: 'kubectl' }], annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', 'meltemi.dev/origin': 'a.yaml:1' } };
  const [issue] = validateIstioObject({ apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata, spec: { host: 'a', subsets: [{ name: 'b' }], labels: { v: '1' } } } as unknown as KubeObject);
  expect(parse(issue!.fix!)).toEqual({ apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: written, spec: { host: 'a', subsets: [{ name: 'b', labels: { v: '1' } }] } });
});
