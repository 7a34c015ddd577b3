/** What the mesh itself has to say about objects when it reads them: fields it does not support, objects that take each other's place. Codes are ours. */
import type { Issue } from '../../base/issue.ts';
import { resolve } from '../../resolve/resolve.ts';
import { envoyFilterIssues } from '../../translate/envoy-filter/issues.ts';
import { message, referenceOf } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';

export function analyzeSupport(set: ObjectSet): readonly Issue[] {
  const objects = set.all();
  const { issues: found, snapshot } = resolve({ objects, meshConfig: set.meshConfig });
  const issues = [...found, ...envoyFilterIssues(snapshot.envoyFilters)];
  // Istio's kinds have schema analyzers of their own.
  const malformed = set.malformed.filter(({ object }) => !/istio\.io\//.test(object.apiVersion)).map(({ object, error }) => message('IST0106', object, error.path, [`${error.path}: ${error.message}`], 'the API server refuses the object as it is'));
  return [...malformed, ...issues.filter(({ code }) => code.startsWith('MLT')).map((issue) => {
    const object = objects.find(({ kind, metadata }) => kind === issue.object.kind && metadata.name === issue.object.name && (metadata.namespace ?? '') === (issue.object.namespace ?? ''));
    return object ? { ...issue, object: referenceOf(object) } : issue;
  })];
}
