import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findImageProgram } from '../images.ts';
import { parseProject, projectIssueLine } from './project-file.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'project-'));
  mkdirSync(join(folder, 'shop/src'), { recursive: true });
  mkdirSync(join(folder, 'bare'));
  writeFileSync(join(folder, 'shop/Dockerfile'), 'FROM node:20\nWORKDIR /app\nENV PORT=80\nCOPY . .\nENTRYPOINT ["node"]\nCMD ["/app/server.js", "/application"]\n');
  writeFileSync(join(folder, 'bare/Dockerfile'), 'FROM node:20\nCOPY . .\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const parse = (text: string) => parseProject(text, join(folder, 'meltemi.yaml'));
const issues = (text: string) => parse(text).issues.map(({ line, field, message, fix }) => `${line} ${field}: ${message}${fix === '' ? ' NO FIX' : ''}`);

describe('meltemi.yaml', () => {
  it('says what runs for an image', () => {
    const { images } = parse(`images:
  - image: registry.example/shop
    command: node server.js
    args: [--port, 80]
    env: { PORT: 8080, DEBUG: "true", ON: true }
    cwd: shop
    user: 1000
    build: npm run build
    watch: [src]
    ignore: [out]
`);
    expect(images).toEqual([{ image: 'registry.example/shop', command: '', argv: ['node', 'server.js'], args: ['--port', '80'], env: { PORT: '8080', DEBUG: 'true', ON: 'true' }, cwd: join(folder, 'shop'), user: 1000, build: 'npm run build', watch: [join(folder, 'shop/src')], ignore: ['out'] }]);
    expect(findImageProgram('registry.example/shop:1.2', images)).toEqual({ entrypoint: ['node', 'server.js'], cmd: ['--port', '80'], env: { PORT: '8080', DEBUG: 'true', ON: 'true' }, cwd: join(folder, 'shop'), user: 1000 });
  });
  it('takes the Dockerfile of a context as a hint, in the context', () => {
    const [mapping] = parse('images: [{ image: a, context: shop, env: { EXTRA: x } }]').images;
    expect(mapping).toMatchObject({ argv: ['node'], args: [join(folder, 'shop/server.js'), '/application'], env: { PORT: '80', EXTRA: 'x' }, cwd: join(folder, 'shop') });
  });
  it('lets a command replace the Dockerfile\'s, and keeps its variables', () => {
    expect(parse('images: [{ image: a, context: shop, command: [./run] }]').images[0]).toMatchObject({ argv: ['./run'], args: [], env: { PORT: '80' } });
  });
  it('runs what needs a shell in one', () => expect(parse('images: [{ image: a, command: "cd x && ./y" }]').images[0]?.argv).toEqual(['/bin/sh', '-c', 'cd x && ./y']));
  it('watches the whole folder where nothing is built', () => expect(parse('images: [{ image: a, command: x, cwd: shop, watch: true }]').images[0]?.watch).toEqual([join(folder, 'shop')]));

  it.each<[string, string, readonly string[]]>([
    ['no map', '- a', ['1 : the file must be a map']],
    ['nothing', '', ['1 : the file must be a map']],
    ['no images', 'image: a', ['1 image: there is no such field', '1 images: is missing']],
    ['no list', 'images: a', ['1 images: must be a list']],
    ['unknown fields', 'images:\n  - image: a\n    command: x\n    comand: y', ['4 images[0].comand: there is no such field']],
    ['no image', 'images:\n  - command: x', ['2 images[0].image: is missing']],
    ['nothing to run', 'images:\n  - image: a', ['2 images[0]: says nothing about what to run']],
    ['a command that is no text', 'images:\n  - image: a\n    command: 7', ['3 images[0].command: must be a text']],
    ['an entry that is no map', 'images:\n  - a', ['2 images[0]: must be a map']],
    ['a value that is no text', 'images:\n  - image: a\n    command: x\n    env:\n      A: [1]\n      B-: y\n      1C: z', ['5 images[0].env.A: must be a text', '7 images[0].env: "1C" is no name of a variable']],
    ['a user that is none', 'images: [{ image: a, command: x, user: root }]', ['1 images[0].user: must be a user id']],
    ['builds that would never end', 'images:\n  - { image: a, command: x, build: make, watch: true }', ['2 images[0].watch: what is built would start the next build']],
  ])('refuses %s by line and field', (_, text, expected) => expect(issues(text)).toEqual(expected));
  it('names places that are not there', () => {
    expect(issues('images:\n  - image: a\n    command: x\n    cwd: nowhere\n    watch: [gone]')).toEqual([`4 images[0].cwd: there is no folder ${join(folder, 'nowhere')}`, `5 images[0].watch: there is no ${join(folder, 'nowhere/gone')}`]);
    expect(issues('images:\n  - image: a\n    context: shop/src')).toEqual([`3 images[0].context: there is no Dockerfile in ${join(folder, 'shop/src')}`]);
    expect(issues('images:\n  - image: a\n    context: bare')).toEqual(['3 images[0].context: bare/Dockerfile has neither CMD nor ENTRYPOINT (its base image may)']);
  });
  it('finds every mistake at once, and then uses nothing', () => {
    const project = parse('images:\n  - { image: a, command: x }\n  - { image: b }\n  - { command: y }');
    expect([project.images, project.issues.length]).toEqual([[], 2]);
  });
  it('says where YAML itself is broken', () => expect(issues('images:\n  - image: "a')[0]).toMatch(/^2 : no YAML: /));
  it('prints as compilers do', () => expect(projectIssueLine({ file: 'meltemi.yaml', line: 3, field: 'images[0].cwd', message: 'there is none', fix: 'make one' })).toBe('meltemi.yaml:3: images[0].cwd: there is none\n    make one'));
  it('is not fooled by names of prototypes', () => expect(issues('__proto__: { a: 1 }\nimages: []')).toEqual(['1 __proto__: there is no such field']));
});
