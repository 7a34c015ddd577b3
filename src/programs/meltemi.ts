// The command line.
import { runCommandLine } from '../cli/main.ts';

// A reader that has seen enough (`meltemi status | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

await runCommandLine(process.argv.slice(2), process.env['MELTEMI_BUILD_VERSION'] ?? '0.0.0');
