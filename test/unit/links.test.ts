// What documents point at exists: relative links, their headings, and files of this repository named in code spans.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('../..', import.meta.url).pathname;
const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g;
const NAMED_FILE = /`((?:src|docs|scripts|test|samples|examples|bench)\/[\w@./-]+)`/g;

function headings(path: string): readonly string[] {
  return [...readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, text]) => text!.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-'));
}

/** Why a link of the document at `path` leads nowhere; undefined when it leads somewhere, or out of the repository. */
function deadLink(path: string, link: string): string | undefined {
  if (/^[a-z]+:/.test(link)) return undefined;
  const [file, anchor] = link.split('#') as [string, string?];
  const target = file === '' ? join(root, path) : join(root, dirname(path), file);
  if (!existsSync(target)) return `${path}: ${link}: no such file`;
  return anchor === undefined || headings(target).includes(anchor) ? undefined : `${path}: ${link}: no such heading`;
}

function deadEnds(path: string): readonly string[] {
  const text = readFileSync(join(root, path), 'utf8').replace(/```[\s\S]*?```/g, '');
  const links = [...text.matchAll(LINK)].flatMap(([, link]) => deadLink(path, link!) ?? []);
  // Room READMEs name files from the root or from their own folder.
  const missing = [...text.matchAll(NAMED_FILE)].filter(([, file]) => !existsSync(join(root, file!)) && !existsSync(join(root, dirname(path), file!)));
  return [...links, ...missing.map(([, file]) => `${path}: ${file!}: no such file`)];
}

test('no document points at what is not there', () => {
  const documents = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n').filter((path) => existsSync(join(root, path)));
  expect(documents.length).toBeGreaterThan(20);
  expect(documents.flatMap(deadEnds)).toEqual([]);
});

test('a dead link is found', () => {
  expect(deadLink('README.md', 'docs/nowhere.md')).toBe('README.md: docs/nowhere.md: no such file');
  expect(deadLink('README.md', 'ARCHITECTURE.md#nothing')).toBe('README.md: ARCHITECTURE.md#nothing: no such heading');
  expect(deadLink('README.md', 'ARCHITECTURE.md#the-door-table')).toBeUndefined();
});
