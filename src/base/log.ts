export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'none';

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, none: 4 };

/** Fields that say what a line is about; printed as `key=value`. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

let threshold: LogLevel = 'info';
let sink: (line: string) => void = () => {};

/** Sets the lowest level that is written. Default `info`. */
export function setLogLevel(level: LogLevel): void {
  threshold = level;
}

/** Sets where lines go; a program passes `(line) => process.stderr.write(line)`. By default nothing is written. */
export function setLogSink(write: (line: string) => void): void {
  sink = write;
}

/** A logger for one scope (`ads`, `kubelet`); lines are `<time>\t<level>\t<scope>\t<message>\tkey=value …` as istiod's are. */
export function createLogger(scope: string): Logger {
  const write = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (RANK[level] < RANK[threshold]) return;
    const rest = fields ? Object.entries(fields).map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join(' ') : '';
    sink(`${new Date().toISOString()}\t${level}\t${scope}\t${message}${rest && `\t${rest}`}\n`);
  };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}
