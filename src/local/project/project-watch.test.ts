import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { runBuild } from './build-step.ts';
import { openProject, type WatchedProject } from './project-watch.ts';

let folder: string;
let project: WatchedProject | undefined;
const write = (path: string, text: string) => writeFileSync(join(folder, path), text);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'watch-'));
  mkdirSync(join(folder, 'src/node_modules'), { recursive: true });
  write('src/a.js', '1');
  write('meltemi.yaml', 'images: [{ image: shop, command: x, build: "true", watch: [src], ignore: [out] }]');
});
afterEach(() => {
  project?.close();
  rmSync(folder, { recursive: true, force: true });
});

const open = (build: () => Promise<string | undefined> = () => Promise.resolve(undefined)) => {
  const restart = vi.fn();
  const buildFailed = vi.fn();
  project = openProject({ path: join(folder, 'meltemi.yaml'), restart: (_mapping, why) => restart(why), buildFailed: (_mapping, message) => buildFailed(message), build });
  return { restart, buildFailed };
};
/** Longer than the debounce. */
const QUIET_MS = 500;

it('restarts once for many changes, also in folders that are new', async () => {
  const { restart } = open();
  for (let count = 0; count < 5; count++) write('src/a.js', String(count));
  await vi.waitFor(() => expect(restart).toHaveBeenCalledOnce());
  expect(restart.mock.calls[0]?.[0]).toContain('src/a.js changed');
  mkdirSync(join(folder, 'src/deep/deeper'), { recursive: true });
  await vi.waitFor(() => expect(restart).toHaveBeenCalledTimes(2));
  write('src/deep/deeper/b.js', '1');
  await vi.waitFor(() => expect(restart).toHaveBeenCalledTimes(3));
});

it('does not look at what is not source', async () => {
  const { restart } = open();
  for (const path of ['src/node_modules/x.js', 'src/.a.js.swp', 'src/a.js~', 'elsewhere.js']) write(path, '1');
  mkdirSync(join(folder, 'src/out'));
  write('src/out/a.js', '1');
  await sleep(QUIET_MS);
  expect(restart).not.toHaveBeenCalled();
});

it('builds first; what does not build does not restart; what changed meanwhile is built again', async () => {
  const results = ['broken', undefined, undefined];
  const build = vi.fn(async () => {
    await sleep(300);
    return results.shift();
  });
  const { restart, buildFailed } = open(build);
  write('src/a.js', '2');
  await vi.waitFor(() => expect(buildFailed).toHaveBeenCalledWith('broken'));
  expect(restart).not.toHaveBeenCalled();
  write('src/a.js', '3');
  await vi.waitFor(() => expect(build).toHaveBeenCalledTimes(2));
  write('src/a.js', '4');
  await vi.waitFor(() => expect(restart).toHaveBeenCalledTimes(2), 3000);
  expect(build).toHaveBeenCalledTimes(3);
});

it('reads its file again, however it was saved, and keeps the last good one', async () => {
  const { restart } = open();
  write('new.yaml', 'images: [{ image: shop, command: y }, { image: other, command: z }]');
  renameSync(join(folder, 'new.yaml'), join(folder, 'meltemi.yaml'));
  await vi.waitFor(() => expect(restart).toHaveBeenCalledTimes(2));
  expect(project!.images().map(({ image, argv }) => [image, argv])).toEqual([['shop', ['y']], ['other', ['z']]]);
  write('meltemi.yaml', 'images: [{ image: shop, comand: y }]');
  await sleep(QUIET_MS);
  expect(project!.images()).toHaveLength(2);
});

it('runs the build in its folder with its variables, and shows what failed', async () => {
  const mapping = { image: 'a', command: 'x', cwd: folder, env: { WHAT: 'seen' } };
  expect(await runBuild(mapping)).toBeUndefined();
  expect(await runBuild({ ...mapping, build: 'test -f meltemi.yaml' })).toBeUndefined();
  expect(await runBuild({ ...mapping, build: 'echo $WHAT >&2; exit 3' })).toBe(`"echo $WHAT >&2; exit 3" in ${folder} ended with status 3:\nseen`);
});
