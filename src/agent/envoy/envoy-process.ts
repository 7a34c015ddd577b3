// Envoy as a child: started with a bootstrap, stopped with the agent.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '../../base/log.ts';

const log = createLogger('envoy');

export interface EnvoyOptions {
  readonly binary: string;
  /** Folder of the bootstrap file. */
  readonly configDirectory: string;
  readonly bootstrap: unknown;
  readonly logLevel: string;
  readonly componentLogLevel: string;
  /** Worker threads; 0 = one per CPU. */
  readonly concurrency: number;
  readonly drainSeconds: number;
  readonly parentShutdownSeconds: number;
}

/** A running Envoy. */
export interface EnvoyProcess {
  /** Exit code; 128 + number for a signal. */
  readonly exited: Promise<number>;
  terminate(): void;
  kill(): void;
}

/** Writes the bootstrap and starts Envoy with the agent's own output. */
export function startEnvoy(options: EnvoyOptions): EnvoyProcess {
  mkdirSync(options.configDirectory, { recursive: true });
  const file = join(options.configDirectory, 'envoy-rev.json');
  writeFileSync(file, JSON.stringify(options.bootstrap, null, 2), { mode: 0o600 });
  const args = [
    '-c', file, '--drain-time-s', String(options.drainSeconds), '--drain-strategy', 'immediate', '--local-address-ip-version', 'v4', '--file-flush-interval-msec', '1000',
    '--disable-hot-restart', '--allow-unknown-static-fields', '-l', options.logLevel,
    ...(options.componentLogLevel === '' ? [] : ['--component-log-level', options.componentLogLevel]),
    ...(options.concurrency > 0 ? ['--concurrency', String(options.concurrency)] : []),
  ];
  log.info('starting', { command: [options.binary, ...args].join(' ') });
  const child: ChildProcess = spawn(options.binary, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const exited = new Promise<number>((resolve) => {
    child.once('error', (error) => {
      log.error('cannot be started', { binary: options.binary, error: error.message });
      resolve(127);
    });
    child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 143)));
  });
  return { exited, terminate: () => void child.kill('SIGTERM'), kill: () => void child.kill('SIGKILL') };
}
