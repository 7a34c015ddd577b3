/** What the mesh itself has to say about objects when it reads them: fields it does not support, objects that take each other's place. Codes are ours. */
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { resolve } from '../../resolve/resolve.ts';
import { envoyFilterIssues } from '../../translate/envoy-filter/issues.ts';
import { message, referenceOf } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';

export function analyzeSupport(set: ObjectSet): readonly Issue[] {
  const objects = set.all();
  const { issues: found, snapshot } = resolve({ objects, meshConfig: set.meshConfig });
  const issues = [...found, ...envoyFilterIssues(snapshot.envoyFilters), ...objects.flatMap(refusedPatches)];
  // Istio's kinds have schema analyzers of their own.
  const malformed = set.malformed.filter(({ object }) => !/istio\.io\//.test(object.apiVersion)).map(({ object, error }) => message('IST0106', object, error.path, [`${error.path}: ${error.message}`], 'the API server refuses the object as it is'));
  return [...malformed, ...issues.filter(({ code }) => code.startsWith('MLT')).map((issue) => {
    const object = objects.find(({ kind, metadata }) => kind === issue.object.kind && metadata.name === issue.object.name && (metadata.namespace ?? '') === (issue.object.namespace ?? ''));
    return object ? { ...issue, object: referenceOf(object) } : issue;
  })];
}

/** Reasons istiod writes into the status of an EnvoyFilter whose patches did not do what they say, with what can be done. */
const PATCH_REASONS: ReadonlyMap<unknown, string> = new Map([
  ['Unsupported', 'use a filter that the proxy has, or select other proxies'], ['Failed', 'correct the value'], ['Refused', 'correct the patch: its proxies run without it'],
]);

/** What proxies said of the patches of an EnvoyFilter, as its status has it. */
function refusedPatches(object: KubeObject): readonly Issue[] {
  if (object.kind !== 'EnvoyFilter') return [];
  const { conditions } = (object as { readonly status?: { readonly conditions?: readonly { readonly type?: string; readonly reason?: string; readonly message?: string }[] } }).status ?? {};
  return (Array.isArray(conditions) ? conditions as NonNullable<typeof conditions> : []).flatMap(({ type = '', reason, message: text = '' }): Issue[] => {
    const fix = PATCH_REASONS.get(reason);
    return fix === undefined ? [] : [{ severity: 'warning', code: 'MLT0016', object: referenceOf(object), path: type.replace('ConfigPatches', 'spec.configPatches'), message: `${text}.`, fix }];
  });
}
