/** Image → program: what runs on this machine when a pod names an image. */

/** Where our own files stand inside every container, whatever user it runs as. */
export const CONTAINER_HOME = '/.meltemi';
const NODE = `${CONTAINER_HOME}/bin/node`;
/**
 * How Node starts our programs. A young generation of 2 MB halves and one helper thread of V8 are enough for them; `--expose-gc` lets those that stay
 * collect when they rest. @see docs/decisions/0005-memory.md
 */
export const NODE_OPTIONS: readonly string[] = ['--max-semi-space-size=2', '--v8-pool-size=1', '--expose-gc', '--disable-warning=ExperimentalWarning'];
/**
 * The same for the program that is a proxy. V8 lets the old generation grow to four times what lives before it collects, but to less than twice where the
 * heap is bounded near here: 80 MB instead of 120 under a load of new connections. @see docs/decisions/0010-http1-hot-path.md
 */
export const PROXY_NODE_OPTIONS: readonly string[] = [...NODE_OPTIONS, '--max-old-space-size=1024'];
/** One malloc arena instead of one for every thread: 3 to 6 MB less in every process. @see mallopt(3), M_ARENA_MAX */
export const NODE_ENV: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1' };

/** A program that stands for an image; the fields are those of an image's config. */
export interface ImageProgram {
  /** ENTRYPOINT; the container's `command` replaces it. */
  readonly entrypoint: readonly string[];
  /** CMD; the container's `args` replace it, and a `command` drops it. */
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** USER: uid and gid when the pod asks for none. Default 0. */
  readonly user?: number;
  /** Programs inside the image that a pod's `command` may begin with, and what runs in their place. */
  readonly commands?: Readonly<Record<string, readonly string[]>>;
  /** The pilot-agent: in a user namespace it marks its sockets, because it cannot be uid 1337 there. */
  readonly agent?: boolean;
}

interface ImageRow {
  /** Repository without registry and tag; matched at a path boundary from the right (`proxyv2` matches `docker.io/istio/proxyv2:1.24`). */
  readonly repository: string;
  readonly program: ImageProgram;
}

/** The folder of our package inside a container; `dist` is below it. */
export const CONTAINER_PACKAGE = `${CONTAINER_HOME}/package`;

/** User and group of the bookinfo and httpbin images when the pod names none: never root for something that needs nothing of it. */
const APP_USER = 1000;

const nodeProgram = (file: string, options = NODE_OPTIONS): readonly string[] => [NODE, ...options, `${CONTAINER_PACKAGE}/dist/${file}`];
const sample = (file: string, env: Readonly<Record<string, string>> = {}): ImageProgram => ({ entrypoint: [], cmd: nodeProgram(`samples/${file}.js`), env: { ...NODE_ENV, ...env }, user: APP_USER });
const shell: ImageProgram = { entrypoint: [], cmd: ['/bin/sh'] };

/** Read top to bottom; the first match wins. */
const BUILT_IN: readonly ImageRow[] = [
  { repository: 'proxyv2', program: { entrypoint: nodeProgram('agent.js', PROXY_NODE_OPTIONS), env: NODE_ENV, user: 1337, agent: true } },
  { repository: 'pilot', program: { entrypoint: nodeProgram('control-plane.js'), cmd: ['discovery'], env: NODE_ENV, user: 1337 } },
  { repository: 'meltemi/attach', program: { entrypoint: nodeProgram('attach-relay.js'), env: NODE_ENV } },
  { repository: 'examples-bookinfo-productpage-v1', program: sample('productpage', { SERVICE_VERSION: 'v1' }) },
  { repository: 'examples-bookinfo-details-v1', program: sample('details', { SERVICE_VERSION: 'v1' }) },
  { repository: 'examples-bookinfo-details-v2', program: sample('details', { SERVICE_VERSION: 'v2' }) },
  { repository: 'examples-bookinfo-reviews-v1', program: sample('reviews', { SERVICE_VERSION: 'v1', ENABLE_RATINGS: 'false' }) },
  { repository: 'examples-bookinfo-reviews-v2', program: sample('reviews', { SERVICE_VERSION: 'v2', ENABLE_RATINGS: 'true' }) },
  { repository: 'examples-bookinfo-reviews-v3', program: sample('reviews', { SERVICE_VERSION: 'v3', ENABLE_RATINGS: 'true', STAR_COLOR: 'red' }) },
  { repository: 'examples-bookinfo-ratings-v1', program: sample('ratings', { SERVICE_VERSION: 'v1' }) },
  { repository: 'examples-bookinfo-ratings-v2', program: sample('ratings', { SERVICE_VERSION: 'v2' }) },
  // Istio's lesson on mirroring starts this image's server itself.
  { repository: 'httpbin', program: { ...sample('httpbin'), commands: { gunicorn: nodeProgram('samples/httpbin.js') } } },
  { repository: 'go-httpbin', program: sample('httpbin') },
  { repository: 'ext-authz', program: sample('ext-authz') },
  { repository: 'jwt-server', program: sample('jwt-server') },
  { repository: 'oidc-provider', program: sample('oidc-provider') },
  { repository: 'oidc-login', program: sample('oidc-login') },
  // As the image's own entry point does: options go to curl, anything else is a command.
  { repository: 'curlimages/curl', program: { entrypoint: ['/bin/sh', '-c', 'case "$1" in ""|-*) exec curl "$@";; esac; exec "$@"', 'entrypoint'], cmd: [], user: 100 } },
  { repository: 'sleep', program: { entrypoint: [], cmd: ['/bin/sh', '-c', 'sleep infinity'], user: 100 } },
  // A pod that asks for a plain userland gets this machine's.
  { repository: 'busybox', program: shell },
  { repository: 'alpine', program: shell },
  { repository: 'debian', program: shell },
  { repository: 'ubuntu', program: shell },
  { repository: 'pause', program: { entrypoint: ['/bin/sh', '-c', 'sleep infinity'] } },
];

/** One `--image NAME=COMMAND` of the user, or one entry of `meltemi.yaml` (`project/project-file.ts`). */
export interface ImageMapping {
  /** An image as pods write it; without a tag it matches every tag, `*` matches any text. */
  readonly image: string;
  /** Command line; quotes and backslashes as in a shell, no expansion. */
  readonly command: string;
  /** Where it runs: the folder in which the user typed it, or that the file names. */
  readonly cwd: string;
  /** The entry point as words; then `command` is not read. */
  readonly argv?: readonly string[];
  /** What `args` of a pod replace. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Uid and gid unless the pod asks for others. Default 0. */
  readonly user?: number;
  /** A shell command that makes the program, run in `cwd` before the start and before every restart. */
  readonly build?: string;
  /** Files and folders whose changes restart the program, absolute. */
  readonly watch?: readonly string[];
  /** Names or paths below the watched ones that do not count. */
  readonly ignore?: readonly string[];
}

/** Finds the program for an image: the user's mappings first (the last one wins), then the built-in table. Undefined when there is none. */
export function findImageProgram(image: string, mappings: readonly ImageMapping[]): ImageProgram | undefined {
  const mapping = mappingOf(image, mappings);
  if (mapping) {
    const { argv, args, env, cwd, user } = mapping;
    return { entrypoint: argv ?? splitCommand(mapping.command) ?? ['/bin/sh', '-c', mapping.command], cwd, ...(args ? { cmd: args } : {}), ...(env ? { env } : {}), ...(user === undefined ? {} : { user }) };
  }
  const repository = repositoryOf(image);
  return BUILT_IN.find((row) => repository === row.repository || repository.endsWith(`/${row.repository}`))?.program;
}

/** The user's mapping for an image: the last one that fits. */
export function mappingOf(image: string, mappings: readonly ImageMapping[]): ImageMapping | undefined {
  const repository = repositoryOf(image);
  return mappings.findLast((mapping) => matchesPattern(mapping.image, image) || matchesPattern(mapping.image, repository));
}

/** The message of `ErrImagePull` for an image without a program. */
export function unknownImageMessage(image: string): string {
  return `image "${image}" has no program on this machine: map it with "meltemi up --image ${image}=COMMAND", or in meltemi.yaml`;
}

/**
 * The argument vector of a container: `command` replaces the entry point and drops the image's arguments, `args` replace only the arguments.
 * @see https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/#notes
 */
export function containerArgv(program: ImageProgram, command: readonly string[] | undefined, args: readonly string[] | undefined): readonly string[] {
  const [name, ...rest] = command ?? [];
  if (name !== undefined) return [...(program.commands && Object.hasOwn(program.commands, name) ? program.commands[name]! : [name]), ...rest, ...(args ?? [])];
  return [...program.entrypoint, ...(args?.length ? args : (program.cmd ?? []))];
}

/** The image without digest and tag: `docker.io/istio/proxyv2:1.24` → `docker.io/istio/proxyv2`. */
export function repositoryOf(image: string): string {
  const plain = image.split('@')[0] ?? image;
  const colon = plain.lastIndexOf(':');
  return colon > plain.lastIndexOf('/') ? plain.slice(0, colon) : plain;
}

function matchesPattern(pattern: string, text: string): boolean {
  if (!pattern.includes('*')) return pattern === text;
  const [first = '', ...rest] = pattern.split('*');
  if (!text.startsWith(first)) return false;
  let position = first.length;
  for (const [index, part] of rest.entries()) {
    if (index === rest.length - 1) return text.length - part.length >= position && text.endsWith(part);
    const found = text.indexOf(part, position);
    if (found < 0) return false;
    position = found + part.length;
  }
  return true;
}

/** Splits a command line at blanks; undefined when it needs a shell (an operator, a variable, a quote that does not end). */
export function splitCommand(text: string): readonly string[] | undefined {
  const words: string[] = [];
  const pattern = /\s+|'([^']*)'|"([^"\\$`]*)"|\\(.)|([^\s'"\\|&;<>()$`*?[\]#~{}!]+)/gy;
  let word: string | undefined;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (!match) return undefined;
    const part = match[1] ?? match[2] ?? match[3] ?? match[4];
    if (part !== undefined) word = (word ?? '') + part;
    else {
      if (word !== undefined) words.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) words.push(word);
  return words.length > 0 ? words : undefined;
}
