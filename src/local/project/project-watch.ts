/** Watch and restart: a changed source builds its image's program and restarts the containers that run it; a changed `meltemi.yaml` is read again. */
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { ImageMapping } from '../images.ts';
import { runBuild } from './build-step.ts';
import { projectIssueLine, readProject } from './project-file.ts';
import { watchTree } from './tree-watch.ts';

const log = createLogger('project');
const DEBOUNCE_MS = 150;

export interface ProjectOptions {
  /** The file. */
  readonly path: string;
  /** Restarts what runs the mapping's image; `why` is for people. */
  restart(mapping: ImageMapping, why: string): void;
  /** The build failed: what runs goes on. */
  buildFailed(mapping: ImageMapping, message: string): void;
  /** Replaced by tests. */
  readonly build?: (mapping: ImageMapping) => Promise<string | undefined>;
}

export interface WatchedProject {
  /** The mappings of the last version of the file that had no mistakes. */
  images(): readonly ImageMapping[];
  close(): void;
}

/** Reads the file and keeps watching. Mistakes of a later version are logged, and the version before stays in force. */
export function openProject(options: ProjectOptions): WatchedProject {
  let images: readonly ImageMapping[] = [];
  let stops: (() => void)[] = [];
  const take = (next: readonly ImageMapping[]): void => {
    for (const stop of stops) stop();
    images = next;
    stops = next.flatMap((mapping) => (mapping.watch ? [watchMapping(mapping, mapping.watch, options)] : []));
  };
  const read = (): void => {
    try {
      const project = readProject(options.path);
      for (const issue of project.issues) log.error('meltemi.yaml not read again', { issue: projectIssueLine(issue) });
      if (project.issues.length > 0) return;
      const before = new Map(images.map((mapping) => [mapping.image, JSON.stringify(mapping)]));
      take(project.images);
      for (const mapping of images) if (before.get(mapping.image) !== JSON.stringify(mapping)) options.restart(mapping, `${options.path} changed`);
    } catch (error) {
      log.error('meltemi.yaml not read', { error: messageOf(error) });
    }
  };
  take(readProject(options.path).images);
  const stop = watchTree({ paths: [options.path], ignore: [], debounceMs: DEBOUNCE_MS, onChange: read });
  return { images: () => images, close: () => [stop, ...stops].forEach((one) => one()) };
}

/** One build at a time; a change while it runs means one more. */
function watchMapping(mapping: ImageMapping, paths: readonly string[], options: ProjectOptions): () => void {
  const build = options.build ?? runBuild;
  let changed: readonly string[] = [];
  let running = false;
  const run = async (): Promise<void> => {
    if (running) return;
    running = true;
    while (changed.length > 0) {
      const why = changed.length === 1 ? `${changed[0]} changed` : `${changed[0]} and ${changed.length - 1} more changed`;
      changed = [];
      const problem = await build(mapping);
      if (problem === undefined) options.restart(mapping, why);
      else options.buildFailed(mapping, problem);
    }
    running = false;
  };
  return watchTree({ paths, ignore: mapping.ignore ?? [], debounceMs: DEBOUNCE_MS, onChange: (list) => {
    changed = [...changed, ...list];
    void run();
  } });
}
