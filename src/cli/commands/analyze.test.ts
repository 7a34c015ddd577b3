import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { runCommandLine } from '../main.ts';

const routes = (weight: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http: [{ name: ${weight}, route: [{ destination: { host: reviews } }] }]
`;

test('files that hold alternatives of one object are no conflict: the last one stands', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'analyze-'));
  const output: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => output.push(String(text)) > 0);
  try {
    writeFileSync(join(folder, 'a.yaml'), `apiVersion: v1\nkind: Service\nmetadata: { name: reviews }\nspec: { ports: [{ name: http, port: 80 }] }\n---\n${routes('one')}`);
    writeFileSync(join(folder, 'b.yaml'), routes('two'));
    await runCommandLine(['analyze', '--no-use-kube', folder], '0.0.0');
    expect(output.join('')).not.toContain('IST0109');
    expect(process.exitCode ?? 0).toBe(0);
  } finally {
    spy.mockRestore();
    process.exitCode = undefined;
    rmSync(folder, { recursive: true, force: true });
  }
});
