import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runCommandLine } from '../main.ts';

let folder: string;
let output: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'validate-'));
  output = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => output.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function run(command: string, text: string): Promise<string> {
  const file = join(folder, 'a.yaml');
  writeFileSync(file, text);
  await runCommandLine([...command.split(' '), file], '0.0.0');
  return output.join('');
}

const GATEWAY = 'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata:\n  name: shop\nspec:\n  selector: {istio: ingressgateway}\n  servers:\n  - port: {number: 80, name: http, protocol: HTTP}\n';

test('a good file is valid', async () => {
  expect(await run('validate -f', `${GATEWAY}    hosts: [a.example]\n`)).toContain('a.yaml" is valid');
  expect(process.exitCode ?? 0).toBe(0);
});

test.each(['validate -f', 'analyze --no-use-kube'])('%s shows what was meant', async (command) => {
  const text = await run(command, `${GATEWAY}  hosts: [a.example]\n`);
  expect(text).toContain('fix:\n');
  expect(text).toMatch(/^ {8}servers:$/m);
  expect(text).toMatch(/^ +hosts:$/m);
  expect(process.exitCode).not.toBe(0);
});

test.each(['validate -f', 'analyze --no-use-kube'])('%s reads what is no YAML', async (command) => {
  const text = await run(command, `${GATEWAY}  <cut>\n    hosts: [a.example]\n`);
  expect(text).toMatch(/MLT0015.*shop.*a\.yaml:1.*no YAML/);
  expect(text).toContain('# ');
  expect(process.exitCode).not.toBe(0);
});

test.each(['validate -f', 'analyze --no-use-kube'])('%s shows the modern form of what Istio gave up', async (command) => {
  const text = await run(command, 'apiVersion: authentication.istio.io/v1alpha1\nkind: MeshPolicy\nmetadata: {name: default}\nspec: {peers: [{mtls: {}}]}\n');
  expect(text).toContain('MLT0013');
  expect(text).toMatch(/kind: PeerAuthentication/);
  expect(process.exitCode ?? 0).toBe(0);
});
