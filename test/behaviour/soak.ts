/**
 * Random valid meshes: what our compiled configuration decides in process must be what both data planes do, neither may refuse one, and what the two
 * do with a call must be the same down to what the backend sees.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject } from '../../src/objects/meta.ts';
import type { Expectation } from './case.ts';
import { layered } from './control-plane.ts';
import { Draw } from './draw.ts';
import { compileMesh, decide, type Decision } from './in-process.ts';
import { randomMesh } from './random-mesh.ts';
import { GATEWAY, SIDECAR } from './topology.ts';

/** Meshes a second of soak, and calls to each. A quiet machine of two cores needs about three times as long for both data planes. */
const MESHES_PER_SECOND = 2;
const CALLS_PER_MESH = 16;

/** Writes case files; returns what was wrong already in process. */
export function writeSoak(folder: string, base: readonly KubeObject[], seconds: number, seed: number): string[] {
  mkdirSync(folder, { recursive: true });
  const problems: string[] = [];
  const draw = new Draw(seed);
  for (let index = 0; index < Math.max(1, Math.round(seconds * MESHES_PER_SECOND)); index++) {
    const mesh = randomMesh(draw);
    const { objects } = mesh;
    const name = `mesh-${String(index).padStart(4, '0')}`;
    const compiled = { sidecar: compileMesh(layered(base, objects), SIDECAR), gateway: compileMesh(layered(base, objects), GATEWAY) };
    for (const refusal of [...compiled.sidecar.refusals, ...compiled.gateway.refusals]) problems.push(`${name}: refused: ${refusal}`);
    const cases = Array.from({ length: CALLS_PER_MESH }, (_, at) => {
      const call = mesh.call();
      const chosen = call.gateway === undefined ? compiled.sidecar : compiled.gateway;
      const decision = decide(chosen, { ...call, expect: {} });
      // Where there is one way only, both data planes must do the same in everything.
      const status = draw.of(200, 200, 200, 404, 503);
      return { name: `call-${at}`, compare: decision.clusters.length <= 1, ...(status === 200 ? {} : { backends: { '*': { status } } }), call: { ...call, expect: mesh.rerouted ? {} : expectationOf(decision, chosen.clusters, mesh.filtered) } };
    });
    writeFileSync(join(folder, `${name}.yaml`), JSON.stringify({ mesh: objects.map((object) => JSON.stringify(object)).join('\n---\n'), cases }, null, 1));
  }
  return problems;
}

/** What must be seen when this was decided. `filtered`: filters may have answered before. */
export function expectationOf(decision: Decision, known: ReadonlySet<string>, filtered: boolean): Expectation {
  if (decision.refused) return { closed: true };
  const route = decision.route === undefined || decision.route === '' ? {} : { routeName: decision.route };
  if (filtered) return route;
  if (decision.status !== undefined) return { status: decision.status, ...route, ...(decision.location === undefined ? {} : { headers: { location: decision.location } }) };
  // A cluster that is not there is not named in the log.
  if (decision.clusters.length === 0 || decision.clusters.some((name) => !known.has(name))) return route;
  const choices = decision.clusters.map((name) => name.replace(/[.|*+?^$(){}[\]\\]/g, '\\$&')).join('|');
  return { ...route, log: { upstream_cluster: `/^(${choices});?$/` } };
}
