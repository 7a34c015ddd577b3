/** The life of one container: image, start, hooks, probes, end, and again, as the restart policy says. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { rmSync } from 'node:fs';
import type { Container } from '../../objects/kubernetes/container.ts';
import type { ContainerState } from '../../objects/kubernetes/pod.ts';
import { findImageProgram, unknownImageMessage, type ImageProgram } from '../images.ts';
import { ContainerLog } from './logs.ts';
import { ContainerStreams, type JoinedStreams } from './container-streams.ts';
import { planLaunch, terminationFile } from './launch-plan.ts';
import { terminationMessage } from './termination-message.ts';
import type { Handler } from './pod.ts';
import type { PodContext } from './pod-context.ts';
import { pause, runHandler, runProber, type ProbeTarget } from './probe.ts';
import type { Launch } from './launch.ts';
import { signalGroup, type StartedProcess } from './process.ts';
import type { ContainerRuntime } from './status.ts';

export type ContainerRole = 'init' | 'sidecar' | 'main';

const FIRST_BACKOFF_MS = 10_000;
const MAX_BACKOFF_MS = 300_000;
/** A container that ran this long starts over without back-off. */
const BACKOFF_RESET_MS = 600_000;
/** After the grace period of a hook that took all of it, a container still gets this long. */
const MIN_TERM_MS = 2000;
/** How long a program may take to end that its developer restarts. */
const RESTART_GRACE_MS = 2000;
/** How long the last output may take after the program has ended. */
const DRAIN_MS = 500;
const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGILL: 4, SIGTRAP: 5, SIGABRT: 6, SIGBUS: 7, SIGFPE: 8, SIGKILL: 9, SIGUSR1: 10, SIGSEGV: 11, SIGUSR2: 12, SIGPIPE: 13, SIGALRM: 14, SIGTERM: 15 };

interface Running {
  readonly pid: number;
  readonly launch: Launch;
  readonly streams: ContainerStreams;
  /** Resolves with the exit code. */
  readonly exited: Promise<number>;
  readonly life: AbortController;
}

export class ContainerRunner {
  private runtime: ContainerRuntime = { state: { waiting: { reason: 'ContainerCreating' } }, lastState: {}, ready: false, started: false, restartCount: 0 };
  private readonly stopping = new AbortController();
  private running: Running | undefined;
  private backoffMs = 0;
  private readonly waiters = new Set<() => void>();
  private finished: Promise<number | undefined> | undefined;
  /** Logs by restart count: the current and the previous one. */
  readonly logs = new Map<number, ContainerLog>();

  constructor(
    private readonly context: PodContext,
    readonly container: Container,
    private readonly role: ContainerRole,
  ) {}

  get status(): ContainerRuntime {
    return this.runtime;
  }

  /** Runs until it will not start again; the last exit code, or undefined when it was stopped before it ran. */
  run(): Promise<number | undefined> {
    this.finished ??= this.loop();
    return this.finished;
  }

  /** Resolves when the container has started (startup probe passed) or will never. */
  whenStarted(): Promise<void> {
    return this.until(() => this.runtime.started);
  }

  /** Resolves when the program runs and its postStart hook is done, or when it waits for something. */
  whenLaunched(): Promise<void> {
    return this.until(() => this.runtime.started || this.launched || /(BackOff|Error|Pull)$/.test(this.runtime.state.waiting?.reason ?? ''));
  }
  private launched = false;

  /** Ends the container for good: preStop, SIGTERM, and SIGKILL when the grace is over. */
  async stop(graceMs: number, killMessage?: string): Promise<void> {
    const deadline = Date.now() + graceMs;
    this.stopping.abort();
    if (this.running) await this.terminate(this.running, deadline, killMessage ?? `Stopping container ${this.container.name}`);
    await this.finished;
  }

  /** Ends the program so that it starts again at once, whatever the restart policy and the back-off say; nothing to do when the container is done. */
  restart(message: string): void {
    this.restartAsked = true;
    this.backoffMs = 0;
    if (this.running) void this.terminate(this.running, Date.now() + RESTART_GRACE_MS, message);
    this.hurry.abort();
    this.hurry = new AbortController();
  }
  private restartAsked = false;
  /** Cuts waits for the next start short. */
  private hurry = new AbortController();

  /** Starts one more program inside the running container; undefined when it is not running. */
  exec(argv: readonly string[], stdin = false): ChildProcess | undefined {
    return this.running?.launch.exec(this.running.pid, argv, stdin);
  }

  /** Joins the running program's streams; undefined when it is not running. */
  attach(): JoinedStreams | undefined {
    return this.running?.streams.join();
  }

  private async loop(): Promise<number | undefined> {
    let exitCode: number | undefined;
    while (!this.stopping.signal.aborted) {
      const program = await this.pull();
      if (!program) break;
      const startedAt = Date.now();
      // What was asked for before this start, this start does.
      this.restartAsked = false;
      exitCode = await this.runOnce(program);
      const asked = this.restartAsked;
      this.restartAsked = false;
      if (this.stopping.signal.aborted || (!asked && !this.restarts(exitCode))) break;
      if (Date.now() - startedAt > BACKOFF_RESET_MS) this.backoffMs = 0;
      if (!asked) await this.backOff();
      this.update({ restartCount: this.runtime.restartCount + 1 });
    }
    this.wake();
    return exitCode;
  }

  private restarts(exitCode: number | undefined): boolean {
    if (this.role === 'sidecar') return true;
    const policy = this.context.pod().spec.restartPolicy ?? 'Always';
    if (this.role === 'init') return policy !== 'Never' && exitCode !== 0;
    return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
  }

  /** Finds the image's program; while there is none the container waits and tries again, because mappings may change. */
  private async pull(): Promise<ImageProgram | undefined> {
    const { name, image = '' } = this.container;
    for (let delayMs = FIRST_BACKOFF_MS; !this.stopping.signal.aborted; delayMs = Math.min(MAX_BACKOFF_MS, delayMs * 2)) {
      const program = findImageProgram(image, this.context.images());
      if (program) {
        this.event('Normal', 'Pulled', `Container image "${image}" already present on machine`);
        return program;
      }
      const message = unknownImageMessage(image);
      this.event('Warning', 'Failed', `Failed to pull image "${image}": ${message}`);
      this.event('Warning', 'Failed', 'Error: ErrImagePull');
      this.update({ state: { waiting: { reason: 'ErrImagePull', message } } });
      await pause(FIRST_BACKOFF_MS / 2, this.stopping.signal);
      if (this.stopping.signal.aborted) break;
      this.event('Normal', 'BackOff', `Back-off pulling image "${image}"`);
      this.update({ state: { waiting: { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}": ErrImagePull: ${message}` } } });
      await pause(delayMs, AbortSignal.any([this.stopping.signal, this.hurry.signal]));
    }
    return void name;
  }

  private async backOff(): Promise<void> {
    const { name } = this.container;
    const delayMs = this.backoffMs;
    this.backoffMs = delayMs === 0 ? FIRST_BACKOFF_MS : Math.min(MAX_BACKOFF_MS, delayMs * 2);
    if (delayMs === 0) return;
    const pod = this.context.pod().metadata;
    const where = `${name} in pod ${pod.name}_${pod.namespace}(${pod.uid})`;
    this.event('Warning', 'BackOff', `Back-off restarting failed container ${where}`);
    const message = `back-off ${formatGoSeconds(delayMs / 1000)} restarting failed container=${name} pod=${pod.name}_${pod.namespace}(${pod.uid})`;
    this.update({ state: { waiting: { reason: 'CrashLoopBackOff', message } }, ...(this.runtime.state.terminated ? { lastState: { terminated: this.runtime.state.terminated } } : {}) });
    await pause(delayMs, AbortSignal.any([this.stopping.signal, this.hurry.signal]));
  }

  private async runOnce(program: ImageProgram): Promise<number | undefined> {
    const folder = join(this.context.rootsFolder, `${this.container.name}-${this.runtime.restartCount}`);
    const plan = planLaunch(this.context, this.container, program, folder);
    if (!plan.ok) {
      this.event('Warning', 'Failed', `Error: ${plan.message}`);
      this.update({ state: { waiting: { reason: plan.reason, message: plan.message } }, ready: false });
      // What it names may be created a moment later; the restart count does not grow by waiting.
      await pause(2000, this.stopping.signal);
      return this.stopping.signal.aborted ? undefined : this.runOnce(program);
    }
    const log = this.openLog();
    const containerID = `meltemi://${randomBytes(32).toString('hex')}`;
    this.event('Normal', 'Created', `Created container: ${this.container.name}`);
    const startedAt = rfc3339();
    const process = plan.launch.start();
    const streams = new ContainerStreams(process.child.stdin, this.container.stdinOnce ?? false);
    const exited = this.watchExit(process, log, streams);
    const problem = await process.started;
    if (problem !== undefined) {
      await exited;
      rmSync(folder, { recursive: true, force: true });
      this.event('Warning', 'Failed', `Error: failed to start container "${this.container.name}": ${problem}`);
      this.finish({ exitCode: 128, reason: 'StartError', message: `failed to start container: ${problem}`, startedAt, finishedAt: rfc3339(), containerID });
      return 128;
    }
    this.event('Normal', 'Started', `Started container ${this.container.name}`);
    const running: Running = { pid: process.pid, launch: plan.launch, streams, exited, life: new AbortController() };
    this.running = running;
    const last = this.runtime.state.terminated;
    this.update({ state: { running: { startedAt } }, containerID, started: false, ready: false, ...(last ? { lastState: { terminated: last } } : {}) });
    void this.attend(running);
    // A stop that came while the program was starting has not seen it.
    if (this.stopping.signal.aborted) void this.terminate(running, Date.now() + MIN_TERM_MS, `Stopping container ${this.container.name}`);
    const exitCode = await exited;
    running.life.abort();
    this.running = undefined;
    signalGroup(process.pid, 'SIGKILL');
    const message = terminationMessage(this.container, exitCode, terminationFile(folder), log.path);
    for (const path of [folder, terminationFile(folder)]) rmSync(path, { recursive: true, force: true });
    this.finish({ exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', ...(message === '' ? {} : { message }), startedAt, finishedAt: rfc3339(), containerID });
    return exitCode;
  }

  private watchExit({ child, stdout, stderr }: StartedProcess, log: ContainerLog, streams: ContainerStreams): Promise<number> {
    for (const [name, stream] of [['stdout', stdout], ['stderr', stderr]] as const)
      stream.on('data', (chunk: Buffer) => {
        log.write(name, chunk);
        streams.write(name, chunk);
      });
    const drained = Promise.all([stdout, stderr].map((stream) => new Promise<void>((resolve) => void stream.on('error', () => resolve()).on('close', () => resolve()))));
    return new Promise((resolve) => {
      child.on('error', () => (log.close(), streams.close(), resolve(128)));
      child.on('exit', (code, signal) => {
        const end = () => {
          clearTimeout(timer);
          log.close();
          streams.close();
          resolve(code ?? 128 + (SIGNALS[signal ?? ''] ?? 0));
        };
        // Children that outlive the program may hold its output open; they are killed with its group, but not waited for.
        const timer = setTimeout(end, DRAIN_MS);
        void drained.then(end);
        signalGroup(child.pid ?? 0, 'SIGKILL');
      });
    });
  }

  private openLog(): ContainerLog {
    const count = this.runtime.restartCount;
    const log = new ContainerLog(join(this.context.logsFolder, this.container.name, `${count}.log`));
    this.logs.set(count, log);
    const old = count - 2;
    const stale = this.logs.get(old);
    if (stale) {
      for (const path of [stale.path, `${stale.path}.1`]) rmSync(path, { force: true });
      this.logs.delete(old);
    }
    return log;
  }

  /** postStart, then the startup probe, then readiness and liveness side by side. */
  private async attend(running: Running): Promise<void> {
    const { lifecycle, startupProbe, readinessProbe, livenessProbe } = this.container;
    const { signal } = running.life;
    if (lifecycle?.postStart && !(await this.hook(lifecycle.postStart, 'PostStartHook', running))) return;
    if (signal.aborted) return;
    this.launched = true;
    this.wake();
    const kill = (kind: string, grace: number | undefined) => (message: string) => {
      void message;
      void this.terminate(running, Date.now() + (grace ?? this.graceSeconds()) * 1000, `Container ${this.container.name} failed ${kind} probe, will be restarted`);
    };
    const unhealthy = (kind: string) => (message: string) => this.event('Warning', 'Unhealthy', `${kind} probe failed: ${message}`);
    if (startupProbe) {
      const phase = new AbortController();
      signal.addEventListener('abort', () => phase.abort());
      await runProber(startupProbe, this.target(), { passed: () => phase.abort(), failed: (message) => (kill('startup', startupProbe.terminationGracePeriodSeconds)(message), phase.abort()), unhealthy: unhealthy('Startup') }, phase.signal);
      if (signal.aborted || running.life.signal.aborted || this.terminating.has(running)) return;
    }
    this.update({ started: true, ready: readinessProbe === undefined });
    const setReady = (ready: boolean) => (this.runtime.ready !== ready && !signal.aborted ? this.update({ ready }) : undefined);
    if (readinessProbe) void runProber(readinessProbe, this.target(), { passed: () => setReady(true), failed: () => setReady(false), unhealthy: unhealthy('Readiness') }, signal);
    if (livenessProbe) void runProber(livenessProbe, this.target(), { passed: () => {}, failed: kill('liveness', livenessProbe.terminationGracePeriodSeconds), unhealthy: unhealthy('Liveness') }, signal);
  }

  /** Runs a lifecycle hook; a postStart hook that fails ends the container. */
  private async hook(handler: Handler, name: 'PostStartHook' | 'PreStopHook', running: Running, timeoutMs = 0x7fffffff): Promise<boolean> {
    if (handler.sleep) {
      await pause(Math.min(timeoutMs, Number(handler.sleep.seconds) * 1000), running.life.signal);
      return true;
    }
    const result = await Promise.race([runHandler(handler, this.target(), timeoutMs), running.exited.then(() => ({ ok: true }) as const)]);
    if (result.ok) return true;
    this.event('Warning', `Failed${name}`, `${name} failed: ${result.message}`);
    if (name === 'PostStartHook') void this.terminate(running, Date.now() + this.graceSeconds() * 1000, 'FailedPostStartHook');
    return false;
  }

  private readonly terminating = new Map<Running, Promise<void>>();

  private terminate(running: Running, deadline: number, message: string): Promise<void> {
    const already = this.terminating.get(running);
    // A shorter deadline than the one that runs (a forced deletion) still counts.
    if (already) return Promise.race([already, this.killAt(running, deadline)]);
    this.event('Normal', 'Killing', message);
    const ending = this.endProcess(running, deadline).finally(() => this.terminating.delete(running));
    this.terminating.set(running, ending);
    return ending;
  }

  private async endProcess(running: Running, deadline: number): Promise<void> {
    const preStop = this.container.lifecycle?.preStop;
    const left = deadline - Date.now();
    if (preStop && left > 0) await Promise.race([this.hook(preStop, 'PreStopHook', running, left), pause(left, running.life.signal)]);
    if (left > 0) signalGroup(running.pid, 'SIGTERM');
    await this.killAt(running, left > 0 ? Math.max(deadline, Date.now() + (preStop ? MIN_TERM_MS : 0)) : 0);
  }

  private async killAt(running: Running, deadline: number): Promise<void> {
    await pause(deadline - Date.now(), running.life.signal);
    if (!running.life.signal.aborted) signalGroup(running.pid, 'SIGKILL');
    await running.exited;
  }

  private target(): ProbeTarget {
    return {
      container: this.container,
      podIP: this.context.podIP,
      exec: (argv, timeoutMs) => collect(this.exec(argv), timeoutMs),
    };
  }

  private graceSeconds(): number {
    return this.context.pod().spec.terminationGracePeriodSeconds ?? 30;
  }

  private finish(terminated: NonNullable<ContainerState['terminated']>): void {
    this.launched = false;
    const lastState = this.runtime.state.terminated ? { terminated: this.runtime.state.terminated } : this.runtime.lastState;
    this.update({ state: { terminated }, lastState, ready: this.role === 'init' && terminated.exitCode === 0, started: false, ...(terminated.containerID ? { containerID: terminated.containerID } : {}) });
  }

  private update(change: Partial<ContainerRuntime>): void {
    this.runtime = { ...this.runtime, ...change };
    this.context.changed();
    this.wake();
  }

  private until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!condition() && !this.stopping.signal.aborted) return;
        this.waiters.delete(check);
        resolve();
      };
      this.waiters.add(check);
      this.stopping.signal.addEventListener('abort', check);
      void this.finished?.then(() => (this.waiters.delete(check), resolve()));
      check();
    });
  }

  private wake(): void {
    for (const waiter of this.waiters) waiter();
  }

  private event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.context.events.record(this.context.pod(), type, reason, message, this.container.name);
  }
}

const MAX_EXEC_OUTPUT = 10 << 10;

function collect(child: ChildProcess | undefined, timeoutMs: number): Promise<{ code: number; output: string; timedOut: boolean }> {
  if (!child) return Promise.resolve({ code: 126, output: 'container not running', timedOut: false });
  return new Promise((resolve) => {
    let output = '';
    const take = (chunk: Buffer) => (output.length < MAX_EXEC_OUTPUT ? (output += chunk.toString()) : undefined);
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    const timer = setTimeout(() => {
      signalGroup(child.pid ?? 0, 'SIGKILL');
      resolve({ code: 137, output, timedOut: true });
    }, timeoutMs);
    child.on('error', (error) => (clearTimeout(timer), resolve({ code: 126, output: error.message, timedOut: false })));
    child.on('exit', (code) => setImmediate(() => (clearTimeout(timer), resolve({ code: code ?? 137, output, timedOut: false }))));
  });
}

/** `10s`, `1m20s`, `5m0s`: as Go prints a duration. */
export function formatGoSeconds(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}

/** Now, in the form Kubernetes writes times. */
export function rfc3339(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}
