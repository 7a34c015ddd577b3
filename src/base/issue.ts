/** What is wrong with something a user wrote: data, never an exception. */
export type Severity = 'error' | 'warning' | 'info';

/** Names one object the way kubectl prints it. */
export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind: string;
  /** Empty or absent for cluster-scoped objects and for objects read from a file without a namespace. */
  readonly namespace?: string;
  readonly name: string;
  /** Where the object was read from, `file:line`, when it came from a file. */
  readonly origin?: string;
}

/**
 * One finding about one object. The same value becomes a webhook refusal, an `analyze` line, a status condition and a console badge.
 */
export interface Issue {
  readonly severity: Severity;
  /** Stable code: `IST0101` for Istio's analyzers, `MLT…` for ours. */
  readonly code: string;
  readonly object: ObjectReference;
  /** Field path inside the object, `spec.http[0].route[1].weight`; empty when the whole object is meant. */
  readonly path: string;
  /** A full sentence that says what is wrong. */
  readonly message: string;
  /** What to write instead, when it is known. */
  readonly fix?: string;
}

/** True when any of the issues refuses its object. */
export function hasErrors(issues: readonly Issue[]): boolean {
  return issues.some((issue) => issue.severity === 'error');
}
