/** Goals and figures that several benches print. */

export interface Goal {
  readonly name: string;
  readonly goal: number;
  /** Undefined: not measured in this run. */
  readonly value: number | undefined;
  readonly met: boolean;
}

/** Markdown. */
export function goalTable(goals: readonly Goal[]): string {
  return `| goal | wanted | measured | met |\n|---|---|---|---|\n${goals.map(({ name, goal, value, met }) => `| ${name} | ${goal} | ${value === undefined ? 'not measured' : value.toFixed(value < 10 ? 2 : 0)} | ${value === undefined ? '–' : met ? 'yes' : 'no'} |\n`).join('')}`;
}

/** 0 of nothing. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0;
}
