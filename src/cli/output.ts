/** How commands print: data as JSON or YAML, issues as lines, progress on standard error so that pipes stay clean. */
import { Option } from 'commander';
import { stringify } from 'yaml';
import type { Issue } from '../base/issue.ts';

export type OutputFormat = 'json' | 'yaml';

/** `-o, --output`: JSON, YAML and, where a command has a form for people, that one, which is then the default. */
export function formatOption(description = 'format of the output', forPeople?: string): Option {
  const option = new Option('-o, --output <format>', description).choices([...(forPeople === undefined ? [] : [forPeople]), 'json', 'yaml']);
  return forPeople === undefined ? option : option.default(forPeople);
}

/** Data as text that ends with a line feed. */
export function dataText(data: unknown, format: OutputFormat): string {
  return format === 'json' ? `${JSON.stringify(data, null, 4)}\n` : stringify(data, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Writes data to standard output. */
export function printData(data: unknown, format: OutputFormat): void {
  process.stdout.write(dataText(data, format));
}

const LEVELS = { error: 'Error', warning: 'Warning', info: 'Info' } as const;

/** `Error [IST0101] (VirtualService default/reviews file:3) text`, with the field and the fix on lines of their own. */
export function issueLine(issue: Issue): string {
  const { kind, namespace, name, origin } = issue.object;
  const lines = [`${LEVELS[issue.severity]} [${issue.code}] (${[kind, `${namespace ? `${namespace}/` : ''}${name}`, origin].filter(Boolean).join(' ')}) ${issue.message}`];
  if (issue.path) lines.push(`    at ${issue.path}`);
  // A whole object stands on lines of its own, to be copied.
  if (issue.fix) lines.push(issue.fix.includes('\n') ? `    fix:\n${issue.fix.trimEnd().replace(/^(?=.)/gm, '      ')}` : `    fix: ${issue.fix}`);
  return lines.join('\n');
}

/** A line that is rewritten while something takes time; on anything but a terminal only its end is printed. */
export class Progress {
  private readonly live = process.stderr.isTTY;
  private timer: NodeJS.Timeout | undefined;

  constructor(private text: string) {
    if (!this.live) return;
    const from = Date.now();
    const draw = () => process.stderr.write(`\r\x1b[K- ${this.text} ${((Date.now() - from) / 1000).toFixed(1)}s`);
    draw();
    this.timer = setInterval(draw, 100);
  }

  update(text: string): void {
    this.text = text;
  }

  /** Replaces the line by its outcome. */
  end(line: string): void {
    clearInterval(this.timer);
    process.stderr.write(`${this.live ? '\r\x1b[K' : ''}${line}\n`);
  }
}
