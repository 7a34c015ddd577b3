/** What a command needs of the world: a cluster to read, proxies to ask, files to write, somewhere to print. Handed in, so that tests run whole command lines on files. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { messageOf } from '../base/errors.ts';
import type { KubeClient } from '../kube/client/client.ts';
import { execInPod } from '../kube/client/exec.ts';
import { openCluster, type ClusterOptions } from './cluster-access.ts';
import type { PodName } from './pod-name.ts';

/** The part of a cluster commands use that change nothing. */
export type ClusterReader = Pick<KubeClient, 'get' | 'list' | 'post'>;

export interface OpenedCluster {
  readonly client: ClusterReader;
  /** Namespace of commands that name none. */
  readonly namespace: string;
  close(): void;
}

export interface CommandWorld {
  open(options: ClusterOptions): OpenedCluster;
  /** Asks the proxy's admin inside a pod; rejects when the pod has no proxy or it does not answer. */
  askProxy(options: ClusterOptions, pod: PodName, path: string, method?: 'GET' | 'POST'): Promise<string>;
  /** `-` is standard input; throws an Error that names the path. */
  readFile(path: string): string;
  /** Makes the folder when it is missing. Files may hold a token, so only their owner reads them. */
  writeFile(folder: string, name: string, text: string): void;
  print(text: string): void;
  /** Notes and warnings: standard error. */
  note(text: string): void;
  /** Ends the command as failed. */
  fail(message: string): void;
  /** Ends the command with a status of its own, without a message. */
  exitWith(status: number): void;
  now(): Date;
}

const PRIVATE_MODE = 0o600;

export const REAL_WORLD: CommandWorld = {
  open: (options) => {
    const { client, namespace } = openCluster(options);
    return { client, namespace, close: () => client.close() };
  },
  askProxy: async (options, pod, path, method = 'GET') => {
    const { client, access } = openCluster(options);
    try {
      const { stdout, stderr, exitCode } = await execInPod(access, { namespace: pod.namespace, pod: pod.name, container: 'istio-proxy', command: ['pilot-agent', 'request', method, path] });
      if (exitCode !== 0) throw new Error(stderr.trim() || `pilot-agent in ${pod.namespace}/${pod.name} ended with ${exitCode}`);
      return stdout;
    } finally {
      client.close();
    }
  },
  readFile: readText,
  writeFile: (folder, name, text) => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, name), text, { mode: PRIVATE_MODE });
  },
  print: (text) => void process.stdout.write(text),
  note: (text) => void process.stderr.write(text),
  fail: (message) => {
    process.stderr.write(`Error: ${message}\n`);
    process.exitCode = 1;
  },
  exitWith: (status) => void (process.exitCode = status),
  now: () => new Date(),
};

/** The text of a file, `-` is standard input. Throws an Error in the words of the other tools: what was done, to which path, what the system says. */
export function readText(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`open ${path}: ${code === 'ENOENT' ? 'no such file or directory' : code === 'EISDIR' ? 'is a directory' : messageOf(error)}`, { cause: error });
  }
}

/** A group of commands: alone it prints its help, with a word that is none of them it fails. */
export function commandGroup(parent: Command, name: string, description: string, world: CommandWorld): Command {
  const group: Command = parent.command(`${name} [command]`).description(description).action((word: string | undefined) => {
    if (word === undefined) world.print(group.helpInformation());
    else world.fail(name === 'describe' ? `unknown resource type "${word}"` : `unknown subcommand "${word}"`);
  });
  return group;
}

/** Runs what a command does; what it throws becomes its error line. */
export async function guarded(world: CommandWorld, action: () => Promise<void> | void): Promise<void> {
  try {
    await action();
  } catch (error) {
    world.fail(messageOf(error));
  }
}

/** Runs an action on a cluster that is closed afterwards. */
export async function withCluster(world: CommandWorld, options: ClusterOptions, action: (cluster: OpenedCluster) => Promise<void>): Promise<void> {
  await guarded(world, async () => {
    const cluster = world.open(options);
    try {
      await action(cluster);
    } finally {
      cluster.close();
    }
  });
}
