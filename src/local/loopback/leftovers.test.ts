import { spawn, type ChildProcess } from 'node:child_process';
import { afterEach, expect, it } from 'vitest';
import { endProcesses, findProcesses, hasVariable } from './leftovers.ts';

const children: ChildProcess[] = [];
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));

async function start(value: string): Promise<ChildProcess> {
  const child = spawn('/bin/sh', ['-c', 'sleep 60 & wait'], { env: { LEFTOVER_TEST: value }, detached: true });
  children.push(child);
  await new Promise((resolve) => child.once('spawn', resolve));
  return child;
}

it('finds processes and what they started by one variable, and nobody else', async () => {
  const value = `/tmp/test-${process.pid}`;
  const [mine, other] = [await start(value), await start(`${value}-other`)];
  const ours = hasVariable('LEFTOVER_TEST', value);
  for (let tries = 0; findProcesses(ours).length < 2 && tries < 100; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(findProcesses(ours)).toContain(mine.pid);
  expect(findProcesses(ours)).not.toContain(other.pid);
  expect(await endProcesses(ours)).toBe(2);
  expect(findProcesses(ours)).toEqual([]);
  expect(other.exitCode).toBeNull();
  expect(findProcesses(hasVariable('LEFTOVER_TEST', `${value}-other`))).toContain(other.pid);
});

it.each([['A=1', true], ['A=1\0B=2', true], ['B=2\0A=1\0', true], ['AA=1', false], ['B=A=1', false], ['A=11', false], ['', false]])('%j has A=1: %s', (environment, expected) => expect(hasVariable('A', '1')(environment)).toBe(expected));
