/** Tables, goals and the picture of a run. */
import { cpus, release } from 'node:os';
import { goalTable, type Goal } from './goals.ts';
import { GOALS, type Scenario } from './scenarios.ts';
import type { Contender, Measurement } from './target.ts';

export interface Row {
  readonly scenario: Scenario;
  readonly contender: Contender;
  /** The median round. */
  readonly measurement: Measurement;
  /** The compared figure in every round. */
  readonly spread: readonly number[];
}

const find = (rows: readonly Row[], scenario: string, contender: Contender) => rows.find((row) => row.contender === contender && (row.scenario.name === scenario || row.scenario.name.startsWith(`${scenario} `) || row.scenario.name.startsWith(`${scenario},`)));

/** Every goal of the data plane, measured or not. */
export function goalRows(rows: readonly Row[]): readonly Goal[] {
  return GOALS.map(({ name, scenario, against, figure, goal, better }) => {
    const mine = scenario === '' ? rows.filter((row) => row.contender === 'meltemi' && row.scenario.figure !== 'rssMb' && row.measurement[figure] !== undefined).map((row) => Number(row.measurement[figure])) : [];
    const ours = scenario === '' ? (mine.length > 0 ? Math.max(...mine) : undefined) : find(rows, scenario, 'meltemi')?.measurement[figure];
    const theirs = against ? find(rows, scenario, against)?.measurement[figure] : 1;
    const value = ours === undefined || theirs === undefined || Number(theirs) === 0 ? undefined : Number(ours) / Number(theirs);
    return { name, goal, value, met: value !== undefined && (better === 'lower' ? value <= goal : value >= goal) };
  });
}

export function markdown(rows: readonly Row[], goals: readonly Goal[], about: { readonly rounds: number; readonly seconds: number; readonly absent: readonly string[]; readonly failures: readonly string[] }): string {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, Linux ${release()}, Node ${process.versions.node}`;
  const lines = [`Machine: ${machine}. ${about.rounds} rounds of ${about.seconds} s, interleaved; medians. The proxy has CPU 0, load and backend CPU 1.`, '', '| scenario | contender | result | rounds | ratio to ours |', '|---|---|---|---|---|'];
  for (const { scenario, contender, measurement, spread } of rows) {
    const ours = Number(find(rows, scenario.name, 'meltemi')?.measurement[scenario.figure] ?? Number.NaN);
    const ratio = Number(measurement[scenario.figure] ?? Number.NaN) / ours;
    lines.push(`| ${scenario.name} | ${contender} | ${scenario.describe(measurement)} | ${spread.map((value) => (value > 1e6 ? value.toExponential(2) : value.toFixed(1))).join(', ')} | ${Number.isFinite(ratio) ? ratio.toFixed(2) : '–'} |`);
  }
  lines.push('', goalTable(goals).trimEnd());
  for (const text of about.absent) lines.push('', `Left out, ${text}`);
  for (const text of about.failures) lines.push('', `Failed: ${text}`);
  return `${lines.join('\n')}\n`;
}

const COLOURS: Readonly<Record<Contender, string>> = { meltemi: '#0b4f6c', envoy: '#b8336a', nginx: '#5b8c5a', haproxy: '#c9a227' };

/** Bars of CPU per request, scenario by scenario. */
export function chart(rows: readonly Row[]): string {
  const bars = rows.filter(({ scenario }) => scenario.figure === 'cpuUs');
  const longest = Math.max(1, ...bars.map(({ measurement }) => Number(measurement.cpuUs ?? 0)));
  const height = bars.length * 22 + 40;
  const body = bars.map(({ scenario, contender, measurement }, index) => {
    const y = 30 + index * 22;
    const width = (Number(measurement.cpuUs ?? 0) / longest) * 420;
    return `<text x="250" y="${y + 13}" text-anchor="end">${scenario.name} · ${contender}</text><rect x="260" y="${y}" width="${width.toFixed(1)}" height="16" fill="${COLOURS[contender]}"/><text x="${(265 + width).toFixed(1)}" y="${y + 13}">${Number(measurement.cpuUs ?? 0).toFixed(1)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="760" height="${height}" font-family="sans-serif" font-size="11"><title>CPU per request in microseconds</title><text x="10" y="16" font-size="13">CPU per request, microseconds (less is better)</text>${body.join('')}</svg>\n`;
}
