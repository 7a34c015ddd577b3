/** istiod: `discovery` serves the mesh, `request` asks the one on this machine. */
import { messageOf } from '../base/errors.ts';
import { createLogger, setLogLevel, setLogSink } from '../base/log.ts';
import { parseOptions, USAGE } from './control-plane/options.ts';
import { runControlPlane } from './control-plane/run.ts';
import { collectWhenIdle } from './process/idle-collector.ts';
import { readableStack } from './process/readable-stack.ts';

const version = process.env['MELTEMI_BUILD_VERSION'] ?? 'dev';
const log = createLogger('istiod');

const [command, ...rest] = process.argv.slice(2);
if (command === 'discovery') await discovery(rest);
else if (command === 'request') await request(rest);
else if (command === 'version') process.stdout.write(`${version}\n`);
else {
  process.stderr.write(USAGE);
  process.exitCode = command === undefined || command === 'help' || command === '--help' ? 0 : 2;
}

async function discovery(args: readonly string[]): Promise<void> {
  const options = parseOptions(args, process.env);
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  setLogLevel(options.logLevel);
  setLogSink((line) => process.stdout.write(line));
  process.on('uncaughtException', (error) => log.error('a bug: uncaught exception', { error: readableStack(error) }));
  process.on('unhandledRejection', (reason) => log.error('a bug: unhandled rejection', { error: readableStack(reason) }));
  try {
    const running = await runControlPlane(options, version);
    collectWhenIdle();
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        running.close();
        process.exit(0);
      });
  } catch (error) {
    process.stderr.write(`control-plane: ${messageOf(error)}\n`);
    process.exit(1);
  }
}

/** As `pilot-discovery request`: prints a debug endpoint of the control plane on this machine. */
async function request([method = '', path = '']: readonly string[]): Promise<void> {
  if (!/^[A-Z]+$/.test(method) || !path.startsWith('/')) {
    process.stderr.write(USAGE);
    process.exitCode = 2;
    return;
  }
  try {
    const response = await fetch(`http://127.0.0.1:8080${path}`, { method });
    process.stdout.write(await response.text());
    if (!response.ok) process.exitCode = 1;
  } catch (error) {
    process.stderr.write(`control-plane: no control plane answers on 127.0.0.1:8080: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
