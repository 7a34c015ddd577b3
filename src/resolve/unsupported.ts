import type { Issue, ObjectReference } from '../base/issue.ts';
import type { KubeObject } from '../objects/meta.ts';
import { referenceOf } from './context.ts';

/** Kinds that are accepted and stored but change nothing yet, with what a user would expect of them. */
const KINDS: ReadonlyMap<string, string> = new Map([
  ['telemetry.istio.io/Telemetry', 'logs, metrics and traces stay as the mesh config says'],
  ['extensions.istio.io/WasmPlugin', 'its filter does not run'],
]);

/** What was written but is not obeyed: said by name instead of silently ignored. */
export function reportUnsupported(byKind: ReadonlyMap<string, readonly KubeObject[]>): readonly Issue[] {
  const issues: Issue[] = [];
  for (const [kind, effect] of KINDS)
    for (const object of byKind.get(kind) ?? []) issues.push(unsupported(referenceOf(object), '', `${object.kind} is not supported yet: ${effect}`));
  return issues;
}

function unsupported(object: ObjectReference, path: string, message: string): Issue {
  return { severity: 'warning', code: 'MLT0005', object, path, message: `${message}.` };
}
