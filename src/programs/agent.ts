// pilot-agent: what runs in `istio-proxy` and `istio-init`. Subcommands are Istio's.
import { createLogger, setLogLevel, setLogSink } from '../base/log.ts';
import { messageOf } from '../base/errors.ts';
import { readableStack } from './process/readable-stack.ts';

const VERSION = process.env['MELTEMI_BUILD_VERSION'] ?? '0.0.0';

const USAGE = `pilot-agent runs beside a proxy of the mesh.

Usage: pilot-agent COMMAND [flags]

  proxy sidecar|router     get certificates, run the proxy
  istio-iptables           redirect this pod's traffic to the proxy
  istio-clean-iptables     undo istio-iptables
  wait                     block until the proxy is ready
  request METHOD PATH      call the proxy's admin interface (--debug-port N, default 15000)
  version                  print the version
`;

setLogSink((line) => process.stderr.write(line));
const log = createLogger('agent');

// `pilot-agent … | head` ends quietly.
process.stdout.on('error', () => process.exit(0));
process.on('unhandledRejection', (reason) => log.error('unhandled rejection', { error: readableStack(reason) }));
// Node prints the bundle's positions and ends the process; this says where that is in the sources.
process.on('uncaughtExceptionMonitor', (error) => log.error('uncaught exception', { error: readableStack(error) }));

async function main(argv: readonly string[]): Promise<number | undefined> {
  const [command, ...args] = argv;
  switch (command) {
    case 'proxy': {
      const { runProxy } = await import('./agent/run-proxy.ts');
      return runProxy(args, VERSION);
    }
    case 'istio-iptables':
      return iptables(args);
    case 'istio-clean-iptables':
      return iptables([...args, '--cleanup']);
    case 'wait': {
      const { parseWaitArgs, waitForProxy } = await import('../agent/wait.ts');
      const problem = await waitForProxy(parseWaitArgs(args));
      if (problem !== undefined) log.error(problem);
      return problem === undefined ? 0 : 1;
    }
    case 'request':
      return request(args);
    case 'version':
      process.stdout.write(`${VERSION}\n`);
      return 0;
    case undefined:
    case 'help':
    case '--help':
      process.stdout.write(USAGE);
      return command === undefined ? 1 : 0;
    default:
      process.stderr.write(`unknown command ${JSON.stringify(command)}\n\n${USAGE}`);
      return 1;
  }
}

async function iptables(args: readonly string[]): Promise<number> {
  const [{ parseIptablesCommand, validateIptablesConfig }, { readMachine, runIptables }] = await Promise.all([import('../agent/iptables/config.ts'), import('../agent/iptables/apply.ts')]);
  const { command, unknown } = parseIptablesCommand(args, process.env, readMachine());
  const problems = [...unknown.map((flag) => `unknown flag: ${flag}`), ...validateIptablesConfig(command.config)];
  if (problems.length > 0) {
    for (const problem of problems) log.error(problem);
    return 1;
  }
  for (const flag of command.ignored) log.warn(`--${flag} has no effect here: it is not supported`);
  const { podOfThisProcess } = await import('../local/loopback/preload/install.ts');
  const pod = podOfThisProcess()?.network;
  if (pod && !command.dryRun) {
    // No kernel to tell: the programs of a loopback pod obey the rules themselves.
    const { writeRedirect } = await import('../local/loopback/redirect-file.ts');
    writeRedirect(pod.folder, command.cleanup ? undefined : command.config);
    log.info(command.cleanup ? 'redirection rules removed' : 'redirection rules kept for the programs of this pod');
    return 0;
  }
  runIptables(command, (text) => process.stdout.write(text));
  log.info(command.cleanup ? 'iptables rules removed' : 'iptables rules applied', { mode: command.config.interceptionMode || 'REDIRECT' });
  return 0;
}

async function request(args: readonly string[]): Promise<number> {
  const flag = args.find((arg) => arg.startsWith('--debug-port='));
  const at = args.indexOf('--debug-port');
  const port = Number(flag?.slice('--debug-port='.length) ?? (at >= 0 ? args[at + 1] : 15000));
  const [method, path, body] = args.filter((arg, index) => arg !== flag && index !== at && (at < 0 || index !== at + 1));
  if (method === undefined || path === undefined || !Number.isInteger(port)) {
    process.stderr.write('usage: pilot-agent request METHOD PATH [BODY] [--debug-port N]\n');
    return 1;
  }
  const { localRequest } = await import('../agent/status/admin-client.ts');
  const answer = await localRequest({ port, method: method.toUpperCase(), path: path.startsWith('/') ? path : `/${path}`, ...(body === undefined ? {} : { body }), timeoutMs: 60_000 });
  process.stdout.write(answer.body);
  return answer.status < 400 ? 0 : 1;
}

setLogLevel('info');
main(process.argv.slice(2)).then(
  // Undefined: the proxy is running, and ends the process itself.
  (code) => void (code !== undefined && (process.exitCode = code)),
  (thrown: unknown) => {
    log.error(messageOf(thrown));
    // Half a proxy (a port was taken, a setting is wrong) would keep the process alive.
    process.exit(1);
  },
);
