/** What a Dockerfile says about starting its image: a hint for running the same program from its build context. Pure. */

/** The parts of an image's config that its last stage sets. */
export interface DockerfileHint {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** WORKDIR; `/` without one. */
  readonly workdir: string;
  /** Line of the CMD or ENTRYPOINT that counts; undefined when there is none. */
  readonly line: number | undefined;
}

interface Stage {
  readonly name: string | undefined;
  entrypoint: readonly string[];
  cmd: readonly string[];
  env: Map<string, string>;
  workdir: string;
  line: number | undefined;
}

interface Instruction {
  readonly name: string;
  readonly rest: string;
  readonly line: number;
}

/** Reads the last stage, with what it inherits from stages it is built on. @see https://docs.docker.com/reference/dockerfile/ */
export function readDockerfile(text: string): DockerfileHint {
  const stages: Stage[] = [];
  for (const { name, rest, line } of instructions(text)) {
    const stage = stages.at(-1);
    if (name === 'FROM') stages.push(newStage(rest, stages));
    else if (stage && name === 'ENV') for (const [key, value] of environment(rest)) stage.env.set(key, substitute(value, stage.env));
    else if (stage && name === 'WORKDIR') stage.workdir = resolvePath(stage.workdir, substitute(unquote(rest), stage.env));
    else if (stage && name === 'CMD') Object.assign(stage, { cmd: words(rest), line });
    // An ENTRYPOINT forgets the CMD of the stage it is built on, not one of its own stage.
    else if (stage && name === 'ENTRYPOINT') Object.assign(stage, { entrypoint: words(rest), line });
  }
  const last = stages.at(-1);
  return last ? { entrypoint: last.entrypoint, cmd: last.cmd, env: Object.fromEntries(last.env), workdir: last.workdir, line: last.line } : { entrypoint: [], cmd: [], env: {}, workdir: '/', line: undefined };
}

/** Instructions with continued lines joined; comments and blank lines are gone. */
function instructions(text: string): readonly Instruction[] {
  const found: Instruction[] = [];
  let open: { text: string; line: number } | undefined;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    if (/^\s*#/.test(raw) || (raw.trim() === '' && !open)) continue;
    const continued = /\\\s*$/.test(raw);
    const piece = continued ? raw.replace(/\\\s*$/, ' ') : raw;
    open = { text: (open?.text ?? '') + piece, line: open?.line ?? index + 1 };
    if (continued) continue;
    const match = /^\s*([A-Za-z]+)\s+(.*?)\s*$/s.exec(open.text);
    if (match) found.push({ name: match[1]!.toUpperCase(), rest: match[2]!, line: open.line });
    open = undefined;
  }
  return found;
}

function newStage(rest: string, before: readonly Stage[]): Stage {
  const parts = rest.split(/\s+/).filter((part) => !part.startsWith('--'));
  const base = before.find(({ name }) => name !== undefined && name === parts[0]?.toLowerCase());
  const name = parts[1]?.toLowerCase() === 'as' ? parts[2]?.toLowerCase() : undefined;
  return { name, entrypoint: base?.entrypoint ?? [], cmd: base?.cmd ?? [], env: new Map(base?.env), workdir: base?.workdir ?? '/', line: base?.line };
}

/** The JSON form as it is, the other one through a shell. */
function words(rest: string): readonly string[] {
  try {
    const list = JSON.parse(rest) as unknown;
    if (Array.isArray(list) && list.every((word) => typeof word === 'string')) return list;
  } catch {
    // The shell form.
  }
  return ['/bin/sh', '-c', rest];
}

/** `A=1 B="x y"`, or the old form `A x y`. */
function environment(rest: string): readonly (readonly [string, string])[] {
  if (!/^[^\s=]+=/.test(rest)) {
    const [name = '', ...value] = rest.split(/\s+/);
    return [[name, value.join(' ')]];
  }
  return [...rest.matchAll(/([^\s=]+)=("(?:[^"\\]|\\.)*"|'[^']*'|(?:\\.|[^\s\\])*)/g)].map((match) => [match[1]!, unquote(match[2]!)] as const);
}

function unquote(text: string): string {
  if (/^".*"$/s.test(text)) return text.slice(1, -1).replace(/\\(.)/gs, '$1');
  return /^'.*'$/s.test(text) ? text.slice(1, -1) : text.replace(/\\(.)/gs, '$1');
}

function substitute(text: string, env: ReadonlyMap<string, string>): string {
  return text.replace(/\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))/g, (_whole, braced: string | undefined, fallback: string | undefined, plain: string | undefined) => env.get(braced ?? plain ?? '') ?? fallback ?? '');
}

function resolvePath(from: string, path: string): string {
  return path.startsWith('/') ? path : `${from.replace(/\/$/, '')}/${path}`;
}
