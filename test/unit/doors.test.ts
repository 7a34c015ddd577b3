// The door table that people read (ARCHITECTURE.md) is the one that the machine checks (dependency-cruiser.cjs), and the check sees the code.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';

const DOORS = createRequire(import.meta.url)('../../scripts/doors.cjs') as Record<string, string[]>;
const root = new URL('../..', import.meta.url).pathname;

function documentedDoors(): Record<string, string[]> {
  const rows = readFileSync(`${root}/ARCHITECTURE.md`, 'utf8').split('## The door table')[1]!.split('\n## ')[0]!.matchAll(/^\| `([a-z]+)` \| .* \| ([^|]+) \|$/gm);
  const rooms = Object.keys(DOORS);
  const doors: Record<string, string[]> = {};
  for (const [, room, may] of rows) {
    const text = may!.trim();
    if (text === '–') doors[room!] = [];
    else if (text.startsWith('everything; ')) doors[room!] = rooms.filter((other) => other !== room);
    else if (text.startsWith('everything but ')) doors[room!] = rooms.filter((other) => other !== room && !text.includes(other));
    else doors[room!] = text.split(', ');
  }
  return doors;
}

test('ARCHITECTURE.md and the checked table agree', () => {
  expect(documentedDoors()).toEqual(DOORS);
});

test('dependency-cruiser sees the modules and finds no forbidden import', () => {
  const output = execFileSync(`${root}/node_modules/.bin/depcruise`, ['--config', 'dependency-cruiser.cjs', '--output-type', 'json', 'src'], { cwd: root, maxBuffer: 256 * 1024 * 1024 }).toString();
  const { summary } = JSON.parse(output) as { summary: { totalCruised: number; totalDependenciesCruised: number; violations: unknown[] } };
  expect(summary.totalCruised).toBeGreaterThan(50);
  expect(summary.totalDependenciesCruised).toBeGreaterThan(100);
  expect(summary.violations).toEqual([]);
}, 60_000);
