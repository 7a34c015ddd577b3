/** Quotes a word for sh. */
const quote = (word: string): string => `'${word.replaceAll(`'`, `'\\''`)}'`;

/** A command line that runs another one in a terminal of its own: script(1)'s, whose size is set once at the start. */
export function inTerminal(argv: readonly string[]): readonly string[] {
  return ['script', '-qefc', `stty rows 40 cols 120 2>/dev/null; exec ${argv.map(quote).join(' ')}`, '/dev/null'];
}
