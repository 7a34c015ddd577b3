/** Finds the YAML of documents that were made from slides: fenced, a fence for each line, or without any fence. */

/** A block that claims to be an object, as it was printed. */
export interface Block {
  /** 1-based line of the block's first line. */
  readonly line: number;
  readonly text: string;
}

const FENCE = /^\s*```/;
/** What a document that lost its fences still looks like. */
const YAML_LINE = /^\s*(?:-\s+)?(?:\*\*)?["\w.-]+:(?:\*\*)?(?:\s|$)|^\s*-\s+\S+$/;

/** Objects of a document: everything with a kind and, in the same place, metadata or a spec. */
export function extractBlocks(document: string): readonly Block[] {
  const lines = document.split(/\r?\n/);
  const fenced = fencedBlocks(lines);
  const covered = new Set(fenced.flatMap(({ line, text }) => text.split('\n').map((_, index) => line + index)));
  return [...fenced, ...bareBlocks(lines, covered)].flatMap(splitObjects).filter(({ text }) => isObjectText(text)).sort((a, b) => a.line - b.line);
}

function isObjectText(text: string): boolean {
  const has = (key: string) => new RegExp(`^\\s*(?:\\d+\\s+)?(?:\\*\\*)?${key}:`, 'm').test(text);
  return has('kind') && (has('metadata') || has('spec'));
}

/** Fences whose contents are one line, one after the other, are one block that fell apart; its empty lines keep the count. */
function fencedBlocks(lines: readonly string[]): readonly Block[] {
  const blocks: Block[] = [];
  let single: { line: number; texts: string[] } | undefined;
  const flush = () => {
    if (single) blocks.push({ line: single.line, text: single.texts.join('\n') });
    single = undefined;
  };
  for (let index = 0; index < lines.length; index++) {
    if (!FENCE.test(lines[index]!)) {
      if (single && lines[index]!.trim() !== '') flush();
      else single?.texts.push('');
      continue;
    }
    const end = lines.findIndex((line, at) => at > index && FENCE.test(line));
    if (end === -1) break;
    const content = lines.slice(index + 1, end);
    if (content.length === 1) {
      single ??= { line: index + 2, texts: [] };
      if (single.texts.length > 0) single.texts.push('');
      single.texts.push(content[0]!, '');
    } else {
      flush();
      blocks.push({ line: index + 2, text: content.join('\n') });
    }
    index = end;
  }
  flush();
  return blocks;
}

function bareBlocks(lines: readonly string[], covered: ReadonlySet<number>): readonly Block[] {
  const blocks: Block[] = [];
  for (let index = 0; index < lines.length; index++) {
    if (covered.has(index + 1) || !/^\s*apiVersion:/.test(lines[index]!)) continue;
    let end = index;
    while (end + 1 < lines.length && !covered.has(end + 2) && (lines[end + 1]!.trim() === '' || YAML_LINE.test(lines[end + 1]!))) end++;
    blocks.push({ line: index + 1, text: lines.slice(index, end + 1).join('\n') });
    index = end;
  }
  return blocks;
}

/** Several objects of one block: each begins with its version or, where that is missing, its kind; commands around them are cut off. */
function splitObjects({ line, text }: Block): readonly Block[] {
  const lines = text.split('\n');
  const starts = lines.flatMap((one, index) => (/^(?:\d+ )?(?:apiVersion|kind):/.test(one) ? [index] : []));
  const isVersion = (at: number) => /^(?:\d+ )?apiVersion:/.test(lines[at]!);
  const together = (a: number, b: number) => lines.slice(a + 1, b).every((one) => one.trim() === '');
  const firsts = starts.filter((start, at) => {
    const [before, after] = [starts[at - 1], starts[at + 1]];
    if (before === undefined) return true;
    if (isVersion(start)) return !(!isVersion(before) && together(before, start));
    return after !== undefined && isVersion(after) && together(start, after) && !(isVersion(before) && together(before, start));
  });
  if (firsts.length === 0) return [{ line, text }];
  return firsts.map((start, at) => {
    const rest = lines.slice(start, firsts[at + 1]);
    const end = rest.findIndex((one) => /^(?:EOF|\)|---)$/.test(one));
    return { line: line + start, text: (end === -1 ? rest : rest.slice(0, end)).join('\n') };
  });
}
