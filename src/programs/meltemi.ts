// The command line.
import { runCommandLine } from '../cli/main.ts';

await runCommandLine(process.argv.slice(2), process.env['MELTEMI_BUILD_VERSION'] ?? '0.0.0');
