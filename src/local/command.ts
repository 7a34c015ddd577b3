/** Runs one of the machine's tools (`ip`, `iptables-restore`, `mount`) to its end. */
import { spawn } from 'node:child_process';

export interface CommandResult {
  /** Exit status; 127 when the program does not exist, 128 plus the signal number when it was killed. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Killed after this long. Default 20 s. */
  readonly timeoutMs?: number;
}

const MAX_OUTPUT_BYTES = 1 << 20;

/** Runs a program and collects its output (at most 1 MiB per stream). Never throws: a program that does not exist is code 127. */
export function runCommand(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<CommandResult> {
  const { input, env, timeoutMs = 20_000 } = options;
  return new Promise((resolve) => {
    const child = spawn(argv[0], argv.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], env: env ?? process.env, timeout: timeoutMs, killSignal: 'SIGKILL' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout.length < MAX_OUTPUT_BYTES ? (stdout += text) : undefined));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr.length < MAX_OUTPUT_BYTES ? (stderr += text) : undefined));
    child.on('error', (error) => resolve({ code: 127, stdout, stderr: error.message }));
    child.on('close', (code, signal) => resolve({ code: code ?? 128 + (signal === 'SIGKILL' ? 9 : 15), stdout, stderr }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** As {@link runCommand}, but a failure is an Error that names the command and what it said. */
export async function mustRun(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<string> {
  const result = await runCommand(argv, options);
  if (result.code !== 0) throw new Error(`${argv.slice(0, 4).join(' ')}: ${(result.stderr || result.stdout).trim().slice(0, 500) || `exit status ${result.code}`}`);
  return result.stdout;
}
