/** Status conditions: what a controller says of an object. */

/** A condition as it is stored. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly observedGeneration?: number;
  /** RFC 3339; absent when it has just changed: who writes the status puts the time in. */
  readonly lastTransitionTime?: string | null;
}

/** What is wrong: a reason of the API and a sentence for people. */
export interface ConfigError {
  readonly reason: string;
  readonly message: string;
}

/** What a condition says when all is well, and the error that turns it around. */
export interface ConditionPlan {
  readonly reason: string;
  readonly message: string;
  /** Default True. */
  readonly status?: 'True' | 'False' | 'Unknown';
  readonly error?: ConfigError | undefined;
}

/** Conditions of types that are not planned stay; times stay where the status does. */
export function setConditions(generation: number | undefined, existing: readonly Condition[] | undefined, plans: Readonly<Record<string, ConditionPlan>>): readonly Condition[] {
  const result = new Map((existing ?? []).map((condition) => [condition.type, condition]));
  for (const [type, plan] of Object.entries(plans).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const good = plan.status ?? 'True';
    const status = plan.error ? (good === 'True' ? 'False' : 'True') : good;
    const { reason, message } = plan.error ?? plan;
    const old = result.get(type);
    result.set(type, {
      type, status, reason, message, ...(generation !== undefined && { observedGeneration: generation }),
      ...(old?.status === status && old.lastTransitionTime ? { lastTransitionTime: old.lastTransitionTime } : {}),
    });
  }
  return [...result.values()];
}

/** Both errors as one: the first one's reason. */
export function joinErrors(a: ConfigError | undefined, b: ConfigError | undefined): ConfigError | undefined {
  if (!a || !b) return a ?? b;
  return { reason: a.reason, message: `${a.message}; ${b.message}` };
}
