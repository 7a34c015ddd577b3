import { describe, expect, it } from 'vitest';
import { readDockerfile } from './dockerfile.ts';

describe('readDockerfile', () => {
  it.each<[string, string, Partial<ReturnType<typeof readDockerfile>>]>([
    ['the JSON form', 'FROM node:20\nCMD ["node", "server.js"]', { cmd: ['node', 'server.js'], entrypoint: [], line: 2 }],
    ['the shell form', 'FROM x\nCMD node server.js $PORT', { cmd: ['/bin/sh', '-c', 'node server.js $PORT'] }],
    ['entry point and arguments', 'FROM x\nENTRYPOINT ["node"]\nCMD ["a.js"]', { entrypoint: ['node'], cmd: ['a.js'] }],
    ['the last CMD', 'FROM x\nCMD ["a"]\nCMD ["b"]', { cmd: ['b'], line: 3 }],
    ['the last stage only', 'FROM x AS build\nCMD ["make"]\nENV A=1\nFROM y\nCMD ["run"]', { cmd: ['run'], env: {} }],
    ['a stage built on another', 'FROM x AS Base\nENV A=1\nWORKDIR /app\nCMD ["run"]\nFROM base\nENV B=2', { cmd: ['run'], env: { A: '1', B: '2' }, workdir: '/app' }],
    ['a platform flag', 'FROM --platform=linux/amd64 x AS b\nCMD ["a"]\nFROM b', { cmd: ['a'] }],
    ['continued lines, comments and blanks', '# syntax\nFROM x\n\nCMD ["node", \\\n# why\n  "server.js"]\n', { cmd: ['node', 'server.js'], line: 4 }],
    ['variables', 'FROM x\nENV HOME=/srv PORT="80 80" NAME=\'a b\'\nENV OLD form of it\nENV DIR=${HOME}/app FALL=${NONE:-f}\nWORKDIR $DIR\nWORKDIR sub', { env: { HOME: '/srv', PORT: '80 80', NAME: 'a b', OLD: 'form of it', DIR: '/srv/app', FALL: 'f' }, workdir: '/srv/app/sub' }],
    ['lower case', 'from x\ncmd ["a"]', { cmd: ['a'] }],
    ['nothing to run', 'FROM x\nRUN make', { cmd: [], entrypoint: [], line: undefined, workdir: '/' }],
    ['rubbish', 'CMD ["a"]\n\\\n', { cmd: [], line: undefined }],
    ['a JSON list of something else', 'FROM x\nCMD [1, 2]', { cmd: ['/bin/sh', '-c', '[1, 2]'] }],
  ])('reads %s', (_, text, expected) => expect(readDockerfile(text)).toMatchObject(expected));
});
