/** Changes of the mesh while clients go on calling: no request and no connection may be lost that the case does not name. */
import type { KubeObject } from '../../src/objects/meta.ts';
import type { BehaviourCase, Change } from './case.ts';
import { layered, type TestControlPlane } from './control-plane.ts';
import type { TestIdentities } from './identities.ts';
import { LoadRun } from './load.ts';
import { readObjects } from './load-cases.ts';

const DEFAULT_WAIT_MS = 40;
/** Answers every client has before the first change, and after the last one. */
const ANSWERS = 10;
const ANSWERS_LIMIT_MS = 3000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Makes the changes of a case under its load, then brings the mesh back. */
export async function changeUnderLoad(spec: BehaviourCase, objects: readonly KubeObject[], plane: TestControlPlane, identities: TestIdentities): Promise<string[]> {
  const runs = (spec.load ?? []).map((load, index) => ({ load, run: new LoadRun(load, `${spec.id}~${index}`, identities) }));
  const problems: string[] = [];
  plane.patient = true;
  for (const { run } of runs) run.start();
  await answersOf(runs.map(({ run }) => run), ANSWERS);
  let present: readonly KubeObject[] = objects;
  try {
    for (let round = 0; round < (spec.rounds ?? 1); round++)
      for (const change of spec.changes ?? []) {
        present = changed(present, change);
        problems.push(...(await make(change, present, plane)));
        await pause(change.waitMs ?? DEFAULT_WAIT_MS);
      }
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  const served = runs.filter(({ load }) => load.connection !== 'refused').map(({ run }) => run);
  await answersOf(served, ANSWERS);
  for (const [index, { load, run }] of runs.entries()) problems.push(...(await run.stop()).map((text) => `client ${index + 1} (${load.call.protocol ?? 'http1'} to ${load.call.to ?? load.call.gateway ?? load.call.inbound}): ${text}`));
  plane.patient = false;
  await plane.apply(objects);
  return problems;
}

async function make(change: Change, objects: readonly KubeObject[], plane: TestControlPlane): Promise<string[]> {
  const object = readObjects(change.put ?? '')[0] ?? objects[0]!;
  if (change.unsettled) return plane.change(objects, object), [];
  await plane.apply(objects);
  return plane.refusals.map((text) => `refused: ${text}`);
}

function changed(objects: readonly KubeObject[], change: Change): KubeObject[] {
  const gone = new Set((change.remove ?? []).map((name) => {
    const [kind = '', where = ''] = name.split(' ');
    return where.includes('/') ? `${kind} ${where}` : `${kind} app/${where}`;
  }));
  const left = objects.filter((object) => !gone.delete(`${object.kind} ${object.metadata.namespace ?? ''}/${object.metadata.name}`));
  if (gone.size > 0) throw new Error(`there is no ${[...gone].join(', ')} to remove`);
  return layered(left, readObjects(change.put ?? ''));
}

/** Every client has so many more answers. */
async function answersOf(runs: readonly LoadRun[], count: number): Promise<void> {
  const wanted = runs.map((run) => run.answered + count);
  for (const deadline = Date.now() + ANSWERS_LIMIT_MS; Date.now() < deadline && runs.some((run, index) => run.answered < wanted[index]!); ) await pause(5);
}
