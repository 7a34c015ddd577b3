/** `experimental`, short `x`: the group under which istioctl keeps describe, check-inject and workload. */
import type { Command } from 'commander';
import { commandGroup, REAL_WORLD } from '../command-world.ts';
import { addCheckInject } from './check-inject.ts';
import { addDescribe } from './describe.ts';
import { addWorkload } from './workload.ts';

export function addExperimental(program: Command, world = REAL_WORLD): void {
  const group = commandGroup(program, 'experimental', 'Commands that istioctl keeps here: describe, check-inject, workload', world).aliases(['x', 'exp']);
  addDescribe(group, world);
  addCheckInject(group, world);
  addWorkload(group, world);
}
